"""What no address of ours holds leads to no page, before the database is asked."""

import pytest
from flask.testing import FlaskClient

from tests.platform import code_of


@pytest.mark.parametrize(
    "path",
    [
        "/sessions/99999999999999999999",
        "/sessions/" + "9" * 5000,
        "/sessions/-1",
        "/desk/people/9999999999999999999",
        "/calendar/a%00b.ics",
        "/modules/%00",
        "/equivalency/a%1fb",
        "/retreats/%7f",
    ],
    ids=lambda path: path[:40],
)
def test_such_an_address_leads_to_no_page(path: str, client: FlaskClient) -> None:
    response = client.get(path)
    assert (response.status_code, code_of(response)) == (404, "page_unknown")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/sessions/" + "9" * 18, "session_missing"),
        ("/modules/M%C3%BCller", "session_missing"),
        ("/calendar/nobody.ics", "calendar_unknown"),
    ],
)
def test_an_ordinary_address_reaches_its_page(path: str, code: str, client: FlaskClient) -> None:
    assert code_of(client.get(path)) == code
