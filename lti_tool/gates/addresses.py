"""Where a next step of a decision leads on our own pages."""

from urllib.parse import quote


def address_of(to: str) -> str:
    """The address of a `NextStep.to`. Dates stand on the page that names them as missing, under `dates-<module>`; an
    unknown kind leads to the contact page."""
    kind, _, name = to.partition(":")
    part = quote(name, safe="")
    places = {
        "dates": f"#dates-{part}",
        "equivalency": f"/equivalency/{part}",
        "retreat": f"/retreats/{part}",
        "catalogue": "/",
    }
    return places.get(kind, "/contact")
