"""Every page that each reader can reach by links, in many states: whole, plain, and without a dead end."""

import re
from datetime import date, timedelta
from functools import partial

import pytest
from sqlalchemy import insert

from lti_tool import people
from lti_tool.attendance.settlement import settle
from lti_tool.grades.outcomes import follow_attendance
from lti_tool.programme.model import Programme
from lti_tool.rights import ROLES
from lti_tool.tables.presence import presence_checks
from sandbox.zoom.behaviours import Visit
from tests.crawler import Answer, Document, Found, crawl, faults, faults_between
from tests.statements import counting_rows, listening
from tests.training_day import FIVE, WHOLE_DAY, add_licence, add_session, add_trainee, enrol, present, stay
from tests.unit.web.browser import BASE, Browser
from tests.unit.web.conftest import JOIN_URL
from tests.unit.web.test_live_pages import HOURS, MEETING, STARTS, attendee, tell
from tests.unit.web.test_spanish import english_in

# More people than any page shows of them at once, and the most that a page reads of them. Now and then a request also
# reads which sites may frame a page.
CROWD, PART, SITES = 150, 60, 2
# Who lists everybody of one session, because staff ask for exactly that.
LISTS_EVERYBODY = "/desk/rosters/missing/"
pytestmark = pytest.mark.databases("sqlite")

# What the programme says stays in its language, and is marked so.
PROGRAMMES_WORDS = re.compile(r"<(\w+)\b[^>]* lang=\"en\"[^>]*>.*?</\1>", re.DOTALL)

FIRST = {"staff": "/desk"}
FORM = "/equivalency/F1"
ASKED = {
    "provider": "prati",
    "course_title": "Introduction to KAP",
    "completed_on": "2025-05-04",
    "evidence_note": "A certificate of May 2025",
    "statement": "yes",
}
CORRECTION = {
    "what": "present",
    "starts": "2026-11-10T13:00:00",
    "ends": "2026-11-10T17:00",
    "reason": "The house's line was down.",
    "evidence": "The signed roster.",
}


def walk(browser: Browser, first: str) -> list[Found]:
    def fetch(path: str) -> Answer:
        got = browser.client.get(path, base_url=BASE)
        html = got.get_data(as_text=True) if got.mimetype == "text/html" else ""
        is_attached = got.headers.get("Content-Disposition", "").startswith("attachment")
        return Answer(got.status_code, got.mimetype, html, got.headers.get("Location", ""), is_attached)

    return crawl(fetch, first)


def names_of(programme: Programme) -> list[str]:
    """Names of the program that readers should never see."""
    things = (programme.modules, programme.retreats, programme.bodies, programme.equivalencies)
    return [name for each in things for name in each if name.upper() == name or "_" in name]


@pytest.fixture
def busy(browse, happened, published, database, clock) -> None:
    """A class that has run for an hour with a question open, a doubtful day, and something in every list of staff."""
    now = clock()
    people = [
        present(happened.whole, *WHOLE_DAY),
        present(happened.half, stay(0, 300, "estimated")),
        present(None, stay(0, 100), key="email:guest@example.org", display_name="A guest", email="guest@example.org"),
    ]
    settle(database, happened.day, people, FIVE, now, partial(follow_attendance, now=now))
    with database.write() as connection:
        running = add_session(connection, published, now, starts=STARTS, zoom_meeting_id=MEETING, join_url=JOIN_URL)
        opened = {"opens_at": now, "closes_at": now + timedelta(minutes=5), "opened_by": f"trainee:{happened.staff}"}
        connection.execute(insert(presence_checks).values({"live_session_id": running, **opened}))
        dates = {"issued_on": date(2020, 1, 1), "expires_on": date(2026, 12, 20)}
        add_licence(connection, happened.half, now, type="pre_licensed", **dates)
    tell(database, attendee("trainee4@example.org", Visit(420, 8 * HOURS)), until=now)
    whole, half, new, staff = (browse(getattr(happened, who)) for who in ("whole", "half", "new", "staff"))
    day, person = f"/sessions/{happened.day}", f"/desk/people/{happened.half}"
    correction = f"/desk/sessions/{happened.day}/corrections/{happened.half}"
    sent = [
        half.send(half.open(day), f"{day}/requests", text="I was there in the afternoon too."),
        new.send(new.open(FORM), FORM, **ASKED),
        whole.send(whole.open("/mail"), "/mail", digest="yes"),
        staff.send(staff.open("/desk/equivalencies/2"), "/desk/equivalencies/2/ask", question="How many hours?"),
        staff.send(staff.open(correction), correction, **CORRECTION),
        staff.send(
            staff.open(person), f"{person}/exceptions", offering="F2", until="2026-12-20", reason="A letter came."
        ),
    ]
    assert [each.status for each in sent] == [303] * len(sent)


def faults_of(pages: list[Found], names: list[str]) -> str:
    """A line for each fault; of pages of one shape that share one, the first."""
    said = {
        (page.shape, fault.partition(": …")[0]): f"{page.path} (from {page.led_by}): {fault}"
        for page in reversed(pages)
        for fault in faults(page, names)
    }
    return "\n".join([*said.values(), *faults_between(pages)])


@pytest.mark.parametrize("who", ["whole", "half", "elsewhere", "new", "staff"])
def test_every_page_that_a_reader_reaches_is_whole(browse, happened, published, who: str) -> None:
    pages = walk(browse(getattr(happened, who)), FIRST.get(who, "/"))
    assert faults_of(pages, names_of(published.programme)) == ""
    assert len({page.shape for page in pages}) > 10


@pytest.mark.parametrize("role", ["", *ROLES])
def test_no_page_of_a_role_leads_to_one_that_is_refused(browse, happened, published, role: str) -> None:
    pages = walk(browse(happened.staff, granted=[role] if role else []), "/desk")
    assert faults_of(pages, names_of(published.programme)) == ""


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("who", ["whole", "half", "elsewhere", "new", "staff"])
def test_every_page_is_whole_while_a_class_runs_and_much_is_open(browse, happened, published, who: str) -> None:
    pages = walk(browse(getattr(happened, who)), FIRST.get(who, "/"))
    assert faults_of(pages, names_of(published.programme)) == ""


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("who", ["whole", "half", "elsewhere", "new"])
def test_no_page_for_trainees_leaves_a_sentence_in_english_to_who_reads_spanish(
    browse, happened, published, database, who: str
) -> None:
    with database.write() as connection:
        people.choose_language(connection, getattr(happened, who), "es")
    pages = walk(browse(getattr(happened, who)), "/")
    assert faults_of(pages, names_of(published.programme)) == ""
    ours = {page.path: Document(PROGRAMMES_WORDS.sub("", page.answer.html)).text for page in pages if page.is_page}
    assert {path: left for path, text in ours.items() if (left := english_in(text))} == {}
    shown = [page for page in pages if page.is_page and page.answer.status == 200]
    assert [page.path for page in shown if '<html lang="es">' not in page.answer.html] == []


@pytest.mark.parametrize("who", ["whole", "staff"])
def test_no_page_says_more_or_reads_more_because_more_people_are_known(browse, happened, database, now, who) -> None:
    reader = browse(getattr(happened, who))
    each_kind = {page.shape: page.path for page in walk(reader, FIRST.get(who, "/"))}
    pages = [path for path in each_kind.values() if not path.startswith(LISTS_EVERYBODY)]
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


def test_the_faults_of_a_page_are_noticed() -> None:
    html = """<!doctype html><html><title>Home</title><main><h1>A</h1><h1>B</h1><p id="a" style="x">UTC 2026-12-01</p>
    <p id="a" title="trainee_id">None</p><a class="btn pri" href="#lost">x</a><a class="btn pri" href="">y</a>
    <label for="lost">z</label><table><th>F1</th></table><form method="post" action="/send"></form></main></html>"""
    page = Found("/", "", Answer(200, "text/html", html))
    said = "\n".join(faults(page, ["F1"]) + faults_between([page]))
    for fault in (
        "2 h1", "no way past the bar", "no language", "the title", "inline", "ids twice", "ids that are missing",
        "without a caption", "without a scope", "2 primary", "leads nowhere", "UTC", "machine's time",
        "name of the program", "value of the program", "the id F1", "#lost is not there",
    ):  # fmt: skip
        assert fault in said, fault
    assert faults(Found("/gone", "/", Answer(404, "text/html"))) == ["answers 404"]
    assert faults(Found("/raw", "/", Answer(200, "application/json"))) != []


def test_technical_details_and_addresses_are_no_words_of_a_page() -> None:
    html = "<details><summary>Technical details</summary>trainee_id</details><p>a_b@example.org <code>x_y</code></p>"
    assert not [each for each in faults(Found("/x", "", Answer(200, "text/html", html))) if "says" in each]


def test_an_unknown_page_is_whole_too(browse, happened) -> None:
    got = browse(happened.whole).open("/nothing")
    assert got.status == 404
    page = Found("/nothing", "", Answer(200, "text/html", got.html))
    assert faults(page) == []
    assert re.search(r"<title>There is nothing here", got.html)
