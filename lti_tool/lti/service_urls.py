"""Addresses of a platform's services, made from the ones it gave: nothing of those is lost or changed.

See lti.md AG-3, AG-5.
"""

from collections.abc import Mapping
from urllib.parse import SplitResult, quote, unquote_plus, urlsplit, urlunsplit

from lti_tool.errors import AddressRefused


def below(url: str, *steps: str) -> str:
    """The address with more steps at the end of its path, each percent-encoded; its query stays (Moodle's line items
    carry `?type_id=`). Raises AddressRefused `address_refused` when it is no web address."""
    parts = _split(url)
    path = "/".join([parts.path.rstrip("/"), *(quote(step, safe="") for step in steps)])
    return urlunsplit(parts._replace(path=path))


def with_query(url: str, wanted: Mapping[str, str | None]) -> str:
    """The address with these parameters, percent-encoded (Open edX answers 500 to a bare `+`); None leaves one out.

    A parameter of the same name that was there is replaced, every other stays byte for byte. Raises as `below`.
    """
    parts = _split(url)
    kept = [each for each in parts.query.split("&") if each and unquote_plus(each.partition("=")[0]) not in wanted]
    added = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in wanted.items() if value is not None]
    return urlunsplit(parts._replace(query="&".join(kept + added)))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        message = "The platform gave something that is no web address."
        raise AddressRefused("address_refused", message, "Ask the platform's administrator.") from error
