"""What holds for every page: no inline script or style, one main heading, landmarks, no address but our own."""

import re

import pytest

from tests.statements import counting_rows, listening
from tests.training_day import add_trainee, enrol

# More people than any page shows of them at once, and the most that a page reads of them. Now and then a request also
# reads which sites may frame a page.
CROWD, PART, SITES = 150, 60, 2
# Who lists everybody of one session, because staff ask for exactly that.
LISTS_EVERYBODY = {"/desk/rosters/missing/1"}

TRAINEE = (
    "/", "/modules/F1", "/modules/F2", "/record", "/sessions/1", "/sessions/2", "/calendar", "/help", "/mail",
    "/equivalency", "/equivalency/F1", "/retreats", "/retreats/RT_EXP", "/retreats/RT_DIA", "/nothing",
)  # fmt: skip
STAFF = (
    "/desk", "/desk/programme", "/desk/programme/RT_EXP", "/desk/equivalencies", "/desk/equivalencies/1",
    "/desk/people", "/desk/sessions", "/desk/sessions/1", "/desk/unmatched",
    "/desk/scores", "/desk/platforms", "/desk/platforms/1/disable", "/desk/people/1", "/modules/F2",
    "/desk/sessions/add", "/desk/sessions/1/people/1", "/desk/sessions/1/people/3", "/desk/sessions/1/live",
    "/desk/mail", "/mail", "/calendar",
    "/desk/rosters", "/desk/rosters/missing/1", "/desk/sessions/2/zoom", "/desk/sessions/2/checks",
    "/desk/sessions/1/settings", "/desk/sessions/2/settings", "/desk/sessions/2/edit", "/desk/sessions/2/move",
    "/desk/sessions/2/cancel", "/desk/sessions/add?module=F1", "/desk/sessions/add?like=2",
    "/desk/sessions?month=2026-12", "/desk/sessions?state=confirmed&module=F1", "/desk/sessions/1?only=incomplete",
    "/desk/settings", "/desk/settings/zoom", "/desk/settings/jobs", "/desk/courses", "/desk/setup",
    "/desk/review/F1", "/desk/review/F1/1",
    "/desk/unmatched/3", "/desk/unmatched/3?trainee=4", "/desk/links", "/desk/reviews", "/desk/corrections",
    "/desk/sessions/1/corrections/2", "/desk/attendance-requests", "/desk/accommodations", "/desk/people/imports",
    "/desk/joins", "/desk/joins/1/2",
    "/desk/programme/F1", "/desk/programme/F1/materials", "/desk/programme/F1/materials/link",
    "/desk/programme/F1/materials/preview",
)  # fmt: skip
pytestmark = pytest.mark.databases("sqlite")


def read(browse, happened, path: str, role: str):
    return browse(happened.staff if role == "staff" else happened.whole).open(path)


PAGES = [(path, "trainee") for path in TRAINEE] + [(path, "staff") for path in STAFF]


@pytest.mark.parametrize(("path", "role"), PAGES)
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(browse, happened, path: str, role: str) -> None:
    html = read(browse, happened, path, role).html
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))
    assert all(
        each.startswith("/")
        for each in re.findall(r'<(?:script|link)[^>]*(?:src|href)="([^"]+)"', html)
        if "data:" not in each
    )


@pytest.mark.parametrize(("path", "role"), PAGES)
def test_there_is_one_main_heading_one_main_and_a_way_past_the_bar(browse, happened, path: str, role: str) -> None:
    html = read(browse, happened, path, role).html
    assert (html.count("<h1"), html.count("<main"), html.count('href="#page"')) == (1, 1, 1)
    assert '<html lang="en">' in html
    assert re.search(r"<title>[^<]+ · Gatehouse</title>", html)


@pytest.mark.parametrize(("path", "role"), PAGES)
def test_ids_are_unique_and_names_refer_to_something(browse, happened, path: str, role: str) -> None:
    html = read(browse, happened, path, role).html
    ids = re.findall(r'\sid="([^"]+)"', html)
    referred = {
        name
        for names in re.findall(r'(?:aria-labelledby|aria-describedby|for)="([^"]+)"', html)
        for name in names.split()
    }
    assert sorted(ids) == sorted(set(ids))
    assert referred <= set(ids)


@pytest.mark.parametrize(("path", "role"), PAGES)
def test_tables_have_captions_and_headings_with_a_scope(browse, happened, path: str, role: str) -> None:
    html = read(browse, happened, path, role).html
    assert html.count("<table") == html.count("<caption")
    assert all("scope=" in tag for tag in re.findall(r"<th[ >][^>]*>?", html))


@pytest.mark.parametrize(("path", "role"), PAGES)
def test_links_of_our_own_lead_somewhere(browse, happened, path: str, role: str) -> None:
    reader = browse(happened.staff if role == "staff" else happened.whole)
    page = reader.open(path)
    own = {each.partition("#")[0] for each in page.links if each.startswith("/") and "/join" not in each}
    assert {each for each in own if reader.open(each).status >= 400} == ({"/nothing"} & own)
    here = {each[1:] for each in page.links if each.startswith("#")}
    assert here <= set(re.findall(r'\sid="([^"]+)"', page.html))


@pytest.mark.parametrize(("path", "role"), PAGES)
def test_a_page_has_one_primary_button_at_most(browse, happened, path: str, role: str) -> None:
    html = read(browse, happened, path, role).html
    assert len(re.findall(r'class="btn pri[ "]', html)) <= 1


@pytest.mark.parametrize("role", ["trainee", "staff"])
def test_no_page_says_more_or_reads_more_because_more_people_are_known(browse, happened, database, now, role) -> None:
    reader = browse(happened.staff if role == "staff" else happened.whole)
    pages = [path for path, who in PAGES if who == role and path not in LISTS_EVERYBODY]
    few = {path: work_for(reader, database, path) for path in pages}
    with database.write() as connection:
        for number in range(100, 100 + CROWD):
            enrol(connection, happened.platform, add_trainee(connection, number, now), now)
    many = {path: work_for(reader, database, path) for path in pages}
    more = {path: (said - few[path][0], rows - few[path][1]) for path, (said, rows) in many.items()}
    assert {path: found for path, found in more.items() if found[0] > SITES or found[1] > PART} == {}


def work_for(reader, database, path: str) -> tuple[int, int]:
    """The statements that a page says and the rows that it reads, once it has been opened before."""
    reader.open(path)
    with listening(database) as said, counting_rows(database) as rows:
        reader.open(path)
        return len(said), rows()
