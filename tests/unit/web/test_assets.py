"""Style sheet, script and icons: small, compressed, and kept by browsers for ever; pages are compressed too."""

import gzip
import re

import pytest
from flask import Flask

from lti_tool.web.assets import ASSETS, DIGEST, asset

pytestmark = pytest.mark.databases("sqlite")
GZIP = {"Accept-Encoding": "gzip"}


def test_style_sheet_script_and_icons_are_at_most_20_kb(app: Flask) -> None:
    client = app.test_client()
    answers = [client.get(asset(name), headers=GZIP) for name in ("gatehouse.css", "gatehouse.js", "icons.svg")]
    assert all(each.headers["Content-Encoding"] == "gzip" for each in answers)
    assert sum(len(each.data) for each in answers) <= 20 * 1024


def test_a_browser_keeps_what_the_digest_names_and_asks_again_for_anything_else(app: Flask) -> None:
    client = app.test_client()
    now, before = client.get(asset("gatehouse.css")), client.get("/static/0123456789abcdef/gatehouse.css")
    assert now.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert before.headers["Cache-Control"] == "no-cache"
    assert now.data == before.data == ASSETS["gatehouse.css"].plain


@pytest.mark.parametrize("name", ["nothing.css", "..%2Fapp.py", "%2e%2e"])
def test_other_files_are_not_there(app: Flask, name: str) -> None:
    assert app.test_client().get(f"/static/{DIGEST}/{name}").status_code == 404


def test_scripts_find_their_neighbours() -> None:
    for name, each in ASSETS.items():
        imported = re.findall(r'from "\./([^"]+)"', each.plain.decode())
        assert set(imported) <= set(ASSETS), name


@pytest.mark.parametrize("accepted", ["gzip", "gzip;q=0", "identity"])
def test_a_page_is_compressed_for_browsers_that_take_it(browse, happened, accepted: str) -> None:
    client = browse(happened.whole).client
    plain = client.get("/", base_url="https://localhost")
    answer = client.get("/", base_url="https://localhost", headers={"Accept-Encoding": accepted})
    if accepted == "gzip":
        assert len(answer.data) < len(plain.data) / 2
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert gzip.decompress(answer.data).startswith(plain.data[:100])
    else:
        assert "Content-Encoding" not in answer.headers


def test_a_token_of_a_form_is_another_one_on_each_page_and_each_is_taken(browse, happened) -> None:
    reader = browse(happened.elsewhere)
    first, second = (reader.open("/equivalency/F1") for _ in range(2))
    assert first.csrf != second.csrf
    for page in (first, second):
        assert reader.send(page, "/equivalency/F1", provider="").status == 422
