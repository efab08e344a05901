"""Another unit of a platform that has a client id for each of its units (Open edX without shared passports)."""

from dataclasses import replace

from lti_tool.errors import BadInput
from lti_tool.lti.registration import NewRegistration, Registration, given


def beside(
    sibling: Registration, client_id: str, *, key_set_url: str | None = None, token_url: str | None = None
) -> NewRegistration:
    """The registration of another unit: what is not given is its sibling's.

    Open edX's key set address and token address end with the same id of the unit (openedx.md §2). Where the sibling's
    do, one of the two tells the other. Raises BadInput `unit_address_wrong`.
    """
    own = _end(sibling.key_set_url)
    if own and own == _end(sibling.token_url):
        if key_set_url and not token_url:
            token_url = _with_end(sibling.token_url, _end(key_set_url))
        elif token_url and not key_set_url:
            key_set_url = _with_end(sibling.key_set_url, _end(token_url))
    return replace(
        given(sibling),
        client_id=client_id,
        key_set_url=key_set_url or sibling.key_set_url,
        token_url=token_url or sibling.token_url,
    )


def _end(url: str) -> str:
    return url.rpartition("/")[2]


def _with_end(url: str, end: str) -> str:
    if not end:
        message = "The unit's address does not end with an id."
        raise BadInput("unit_address_wrong", message, "Copy the whole address from Studio.")
    return f"{url.rpartition('/')[0]}/{end}"
