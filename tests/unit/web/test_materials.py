"""Materials at the wire: the gate before every file, hostile files and names, versions, ranges, and staff's pages."""

import io
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select, update

from lti_tool.errors import Conflict
from lti_tool.materials import records, storage
from lti_tool.tables.browser_sessions import web_sessions
from lti_tool.tables.gates import completions, decisions
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.live_sessions import live_sessions as sessions_table
from lti_tool.tables.materials import material_chunks, material_files, material_versions, materials
from lti_tool.tables.operations import audit_log
from tests.sample_files import MP3, PDF, REFUSED, TAKEN
from tests.unit.web.browser import BASE, Browser, Page

F1, F2 = "/desk/programme/F1/materials", "/desk/programme/F2/materials"


def upload(reader: Browser, to: str, *files: tuple[str, bytes], **fields: str) -> Page:
    """Send the form for files that stands on a page."""
    csrf = reader.open(to.removesuffix("/file")).csrf
    data = {"csrf": csrf, **fields, "files": [(io.BytesIO(content), name) for name, content in files]}
    return Page(reader.client.post(to, base_url=BASE, data=data, content_type="multipart/form-data"))


@pytest.fixture
def staff(browse, happened) -> Browser:
    return browse(happened.staff)


@pytest.fixture
def add(staff: Browser, database) -> Callable[..., int]:
    """Adds a file as staff do; the id of its material."""

    def added(name: str = "slides.pdf", content: bytes = PDF, to: str = F1, **fields: str) -> int:
        assert upload(staff, to, (name, content), **fields).status == 303
        with database.read() as connection:
            return connection.scalar(select(func.max(materials.c.id))) or 0

    return added


def downloads(page: Page) -> list[str]:
    return [each for each in page.links if "/materials/" in each and "ticket=" in each]


def get(address: str, app, **headers: str) -> Any:
    """Ask as a new tab does: without any cookie."""
    with app.test_client().get(address, base_url=BASE, headers=headers) as answer:
        answer.get_data()
        return answer


def acts(database) -> list[str]:
    with database.read() as connection:
        log = audit_log.c
        return list(connection.scalars(select(log.act).where(log.subject.like("material:%")).order_by(log.id)))


def test_a_trainee_whose_gate_is_open_gets_the_file_in_a_new_tab(add, browse, happened, app) -> None:
    add("Set & <b>setting.pdf")
    page = browse(happened.new).open("/modules/F1")
    assert "Set &amp; &lt;b&gt;setting" in page.html
    (address,) = downloads(page)
    answer = get(address, app)
    assert (answer.status_code, answer.data) == (200, PDF)
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Content-Length"] == str(len(PDF))


@pytest.mark.parametrize("who", ["half", "elsewhere", "new"])
def test_a_shut_gate_shuts_every_road_to_a_material(who: str, add, browse, happened, app, staff, database) -> None:
    material_id = add("secret-name.pdf", to=F2)
    with database.write() as connection:
        url, content = "https://films.example.org/hidden", records.Content(url="https://films.example.org/hidden")
        link_id = records.add(connection, "F2", content, title="A film", actor="cli", now=sessions_began(connection))
    reader = browse(getattr(happened, who))
    locked = reader.open("/modules/F2")
    assert "secret-name" not in locked.html
    assert not downloads(locked)
    for number in (material_id, link_id):
        answer = reader.open(f"/modules/F2/materials/{number}")
        assert answer.status == 403
        assert "All requirements" in answer.text
        assert "secret-name" not in answer.html + str(answer.response.headers)
        assert url not in answer.html + str(answer.response.headers)
        ranged = reader.client.get(
            f"/modules/F2/materials/{number}", base_url=BASE, headers={"Range": "bytes=5-9", "Accept": "*/*"}
        )
        assert ranged.status_code == 403
    with database.read() as connection:
        recorded = connection.execute(select(decisions.c.open).where(decisions.c.route == "material")).scalars().all()
    assert recorded == [False] * 4


def sessions_began(connection) -> Any:
    return connection.scalar(select(func.min(sessions_table.c.created_at)))


def test_a_gate_that_shuts_later_shuts_links_that_were_made_before(add, browse, happened, app, database, now) -> None:
    add(to=F2)
    (address,) = downloads(browse(happened.whole).open("/modules/F2"))
    assert get(address, app).status_code == 200
    with database.write() as connection:
        connection.execute(update(completions).values(ended_at=now, ended_reason="A test ends it."))
    assert get(address, app).status_code == 403


@pytest.mark.parametrize("spoilt", ["ticket=nothing", "ticket=", "ticket={}x", "ticket=%00"])
def test_a_link_that_is_not_whole_opens_nothing(spoilt: str, add, browse, happened, app) -> None:
    add()
    (address,) = downloads(browse(happened.new).open("/modules/F1"))
    path, _, ticket = address.partition("?ticket=")
    assert get(f"{path}?{spoilt.replace('{}', ticket)}", app).status_code == 403


def test_a_ticket_opens_only_its_own_module_and_ends_with_its_session(add, browse, happened, app, database) -> None:
    add()
    other = add(to=F2)
    (address,) = downloads(browse(happened.whole).open("/modules/F1"))
    ticket = address.partition("?")[2]
    assert get(f"/modules/F2/materials/{other}?{ticket}", app).status_code == 403
    assert get(f"/modules/F1/materials/{other}?{ticket}", app).status_code == 404
    with database.write() as connection:
        connection.execute(update(web_sessions).values(expires_at=web_sessions.c.created_at))
    assert get(address, app).status_code == 403


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-99", 206, 0, 100),
        ("bytes=100-", 206, 100, None),
        ("bytes=-10", 206, -10, None),
        ("bytes=5000000-", 416, 0, 0),
        ("lines=1-2", 416, 0, 0),
        ("bytes=0-1,5-6", 416, 0, 0),
    ],
)
def test_a_player_asks_for_parts(asked: str, status: int, start: int, end: int | None, add, browse, happened, app):
    add("talk.mp3", MP3)
    page = browse(happened.new).open("/modules/F1")
    (address,) = set(downloads(page))
    assert f'<audio controls preload="none" src="{address}"' in page.html.replace("&amp;", "&")
    answer = get(address, app, Range=asked)
    assert answer.status_code == status
    if status == 206:
        assert answer.data == MP3[start:end]
        assert answer.headers["Content-Range"].endswith(f"/{len(MP3)}")


def opened(database) -> list[int]:
    """Who is recorded as opening a material."""
    with database.read() as connection:
        return list(connection.scalars(select(decisions.c.trainee_id).where(decisions.c.route == "material")))


def test_every_download_but_no_later_part_of_it_is_recorded(add, browse, happened, app, database) -> None:
    add("talk.mp3", MP3)
    (address,) = set(downloads(browse(happened.new).open("/modules/F1")))
    for asked in ("bytes=1-", "bytes=100-", "bytes=0-"):
        assert get(address, app, Range=asked).status_code == 206
    assert opened(database) == [happened.new]
    other = browse(happened.whole).open("/modules/F1")
    assert get(downloads(other)[0], app, Range="bytes=1-").status_code == 206
    assert opened(database) == [happened.new, happened.whole]


def test_a_whole_file_is_recorded_whatever_part_was_asked_for(add, browse, happened, app, database) -> None:
    add("talk.mp3", MP3)
    (address,) = set(downloads(browse(happened.new).open("/modules/F1")))
    for _ in range(2):
        whole = get(address, app, **{"Range": "bytes=1-", "If-Range": '"x"'})
        assert (whole.status_code, whole.data) == (200, MP3)
    get(address, app)
    assert opened(database) == [happened.new] * 3


def test_every_part_that_staff_or_a_shut_gate_ask_for_is_recorded(add, staff, browse, happened, app, database, now):
    add("talk.mp3", MP3, to=F2)
    address = downloads(staff.open("/modules/F2"))[0]
    own = downloads(browse(happened.whole).open("/modules/F2"))[0]
    get(own, app)
    with database.write() as connection:
        connection.execute(update(completions).values(ended_at=now, ended_reason="A test ends it."))
    for _ in range(2):
        assert get(own, app, Range="bytes=1-").status_code == 403
        assert get(address, app, Range="bytes=1-").status_code == 206
    assert opened(database) == [happened.whole] * 3
    with database.read() as connection:
        bypassed = select(audit_log.c.details).where(audit_log.c.act == "gate_bypassed")
        assert list(connection.scalars(bypassed)).count({"route": "material"}) == 2


def test_a_presentation_is_released_after_the_persons_own_session(add, browse, happened, app) -> None:
    later = add("after.pdf", shown_from="session_end")
    during = add("during.pdf", PDF + b"1", shown_from="session_start")
    add("always.pdf", PDF + b"2")
    was_there, is_new = browse(happened.whole), browse(happened.new)
    assert len(downloads(was_there.open("/modules/F1"))) == 3
    page = is_new.open("/modules/F1")
    (address,) = downloads(page)
    assert "More will appear here after your session has ended." in page.text
    assert "after.pdf" not in page.html
    ticket = address.partition("?")[2]
    for each in (later, during):
        answer = get(f"/modules/F1/materials/{each}?{ticket}", app, Accept="application/json")
        assert (answer.status_code, answer.json["error"]) == (403, "material_not_yet")


@pytest.mark.parametrize("lost", [{"flags": ["evidence_withdrawn"]}, {"seconds_present": 0}])
def test_a_match_that_was_taken_back_releases_nothing(lost: dict[str, Any], add, browse, happened, database) -> None:
    add("after.pdf", shown_from="session_end")
    add("during.pdf", PDF + b"1", shown_from="session_start")
    half = browse(happened.half)
    assert len(downloads(half.open("/modules/F1"))) == 2
    with database.write() as connection:
        connection.execute(update(attendances).where(attendances.c.trainee_id == happened.half).values(lost))
    assert downloads(half.open("/modules/F1")) == []


def test_joining_a_class_releases_what_is_shown_once_it_has_begun(add, browse, happened, app, database, now) -> None:
    add("during.pdf", shown_from="session_start")
    add("after.pdf", PDF + b"1", shown_from="session_end")
    row = {
        "trainee_id": happened.new, "offering_id": "F1", "programme_version": 1, "route": "join", "open": True,
        "status": "open", "digest": "0" * 64, "tree": {}, "decided_at": now,
    }  # fmt: skip
    with database.write() as connection:
        connection.execute(insert(decisions).values(row))
        running = sessions_table.c.id == happened.next_day
        times = {"starts_at": now - timedelta(minutes=30), "ends_at": now + timedelta(hours=1)}
        connection.execute(update(sessions_table).where(running).values(times))
    page = browse(happened.new).open("/modules/F1")
    assert "during" in page.text
    assert len(downloads(page)) == 1


def test_what_came_since_the_last_visit_is_marked(add, browse, happened, database, now) -> None:
    add("old.pdf")
    reader = browse(happened.new)
    assert "New" not in card_of(reader.open("/modules/F1"))
    with database.write() as connection:
        connection.execute(update(decisions).values(decided_at=now - timedelta(days=2)))
        connection.execute(update(materials).values(shown_at=now - timedelta(days=3)))
        connection.execute(update(material_versions).values(recorded_at=now - timedelta(days=3)))
    add("fresh.pdf", PDF + b"1")
    assert re.findall(r"(\w+)\s+New", card_of(reader.open("/modules/F1"))) == ["fresh"]


def card_of(page: Page) -> str:
    found = re.search(r'aria-labelledby="materials">(.*?)</section>', page.html, re.S)
    assert found
    return re.sub(r"<[^>]*>", " ", found[1])


def test_staff_see_the_card_and_their_download_is_logged(add, staff, app, database) -> None:
    add("after.pdf", shown_from="session_end")
    page = staff.open("/modules/F1")
    assert "Trainees see this after their session has ended." in page.text
    (address,) = downloads(page)
    assert get(address, app).data == PDF
    with database.read() as connection:
        routes = connection.scalars(select(audit_log.c.details).where(audit_log.c.act == "gate_bypassed")).all()
    assert {"route": "material"} in routes


@pytest.mark.parametrize("name", TAKEN)
def test_every_kind_that_is_allowed_comes_back_byte_for_byte(name: str, add, browse, happened, app) -> None:
    content, _ = TAKEN[name]
    add(name, content)
    (address,) = set(downloads(browse(happened.new).open("/modules/F1")))
    assert get(address, app).data == content


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_file_is_refused_with_the_others_of_its_form(name: str, staff, database) -> None:
    content, code = REFUSED[name]
    answer = upload(staff, F1, ("good.pdf", PDF), (name, content))
    assert answer.status == 422
    assert f'data-code="{code}"' in answer.html
    assert f"{name}: " in answer.text
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(materials)) == 0
        assert connection.scalar(select(func.count()).select_from(material_chunks)) == 0


def test_the_browsers_word_about_a_type_counts_for_nothing(staff) -> None:
    csrf = staff.open(F1).csrf
    file = (io.BytesIO(b"MZ" + bytes(90)), "a.pdf", "application/pdf")
    data = {"csrf": csrf, "files": [file]}
    answer = staff.client.post(F1, base_url=BASE, data=data, content_type="multipart/form-data")
    assert answer.status_code == 422


def test_a_file_without_its_forms_token_or_from_a_trainee_is_refused(staff, browse, happened, database) -> None:
    data = {"files": [(io.BytesIO(PDF), "a.pdf")]}
    answer = staff.client.post(F1, base_url=BASE, data=data, content_type="multipart/form-data")
    assert answer.status_code == 403
    trainee = browse(happened.whole)
    csrf = trainee.open("/equivalency/F1").csrf
    data = {"csrf": csrf, "files": [(io.BytesIO(PDF), "a.pdf")]}
    answer = trainee.client.post(F1, base_url=BASE, data=data, content_type="multipart/form-data")
    assert answer.status_code == 403
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(material_files)) == 0


def test_no_file_and_too_many_files_are_refused(staff) -> None:
    assert "Choose a file." in upload(staff, F1).text
    many = [(f"{number}.txt", b"%d" % number) for number in range(21)]
    assert "at most 20 files" in upload(staff, F1, *many).text


def test_a_name_with_a_path_becomes_a_plain_name_in_the_header(add, browse, happened, app) -> None:
    add("../../x/Folien für 質問.pdf")
    (address,) = downloads(browse(happened.new).open("/modules/F1"))
    answer = get(address, app)
    assert ".." not in answer.headers["Content-Disposition"]
    assert "filename*=UTF-8''" in answer.headers["Content-Disposition"]


def test_the_same_file_is_not_added_twice(add, staff, database) -> None:
    add()
    again = upload(staff, F1, ("slides.pdf", PDF))
    assert again.status == 409
    assert "exactly this material" in again.text
    both = upload(staff, F2, ("one.pdf", PDF), ("two.pdf", PDF))
    assert both.status == 409
    assert count_files(database) == 1


def count_files(database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(material_files)) or 0


@pytest.mark.parametrize("fields", [{"title": "x" * 256}, {"description": "x" * 1001}, {"version": "7"}])
def test_what_a_form_will_be_refused_for_is_known_before_its_file_is_kept(fields, add, staff, database) -> None:
    place = f"{F1}/{add()}"
    assert upload(staff, f"{place}/file", ("b.pdf", PDF + b"2"), **{"version": "1", **fields}).status in (409, 422)
    if "version" not in fields:
        assert upload(staff, F1, ("b.pdf", PDF + b"2"), **fields).status == 422
    assert count_files(database) == 1


def test_forms_sent_at_the_same_time_add_each_material_once_and_no_more_than_fifty(database, now, happened) -> None:
    def add_link(number: int) -> int | str:
        content = records.Content(url=f"https://films.example.org/{number}")
        try:
            with database.write() as connection:
                return records.add(connection, "F1", content, title="A film", actor="cli", now=now)
        except Conflict as refusal:
            return refusal.code

    for number in range(records.MAX_PER_MODULE - 2):
        add_link(number)
    with ThreadPoolExecutor(8) as threads:
        same = list(threads.map(add_link, [900] * 8))
        others = list(threads.map(add_link, range(901, 909)))
    assert sorted(map(str, same))[1:] == ["material_there_already"] * 7
    assert sorted(map(str, others))[1:] == ["materials_too_many"] * 7


def test_a_deleted_material_comes_back_only_while_there_is_room(add, staff, database, now) -> None:
    number = add()
    staff.send(staff.open(F1), f"{F1}/{number}/state", to="deleted")
    with database.write() as connection:
        for each in range(records.MAX_PER_MODULE):
            content = records.Content(url=f"https://films.example.org/{each}")
            records.add(connection, "F1", content, title="A film", actor="cli", now=now)
    assert staff.send(staff.open(F1), f"{F1}/{number}/state", to="restored").status == 409


@pytest.mark.parametrize("title", ["<script>alert(1)</script>", "مقدمة في العلاج", "質問" * 120, "a\u202eb"])
def test_titles_of_any_script_are_shown_as_text(title: str, add, browse, happened) -> None:
    add(title=title)
    page = browse(happened.new).open("/modules/F1")
    assert "<script>alert" not in page.html
    assert title.replace("\u202e", "") in page.text


def test_a_title_of_500_characters_is_refused_in_plain_words(staff) -> None:
    answer = upload(staff, F1, ("a.pdf", PDF), title="x" * 500)
    assert answer.status == 422
    assert "The title is longer than 255 characters." in answer.text
    assert staff.open(F1).text.count("No materials yet") == 1


def test_a_replaced_file_keeps_its_earlier_version_for_staff(add, staff, browse, happened, app, database) -> None:
    number = add()
    place = f"{F1}/{number}"
    replaced = upload(staff, f"{place}/file", ("second.pdf", PDF + b"2"), version="1")
    assert replaced.sent_to == f"{place}?done=material_saved"
    trainee = browse(happened.new)
    (address,) = downloads(trainee.open("/modules/F1"))
    assert get(address, app).data == PDF + b"2"
    earlier = next(each for each in downloads(staff.open(place)) if "version=1" in each)
    assert get(earlier, app).data == PDF
    assert get(f"{address}&version=1", app).data == PDF + b"2"
    assert "Person 5" in staff.open(place).text or "slides.pdf" in staff.open(place).text
    assert acts(database) == ["material_added", "material_replaced"]


def test_two_people_do_not_overwrite_each_others_change(add, staff) -> None:
    place = f"{F1}/{add()}"
    form = staff.open(place)
    assert staff.send(form, place, title="First", version="1", shown_from="gate").status == 303
    late = staff.send(form, place, title="Second", version="1", shown_from="gate")
    assert late.status == 409
    assert "has been changed since" in late.text
    assert staff.open(place).heading == "First"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"title": ""}, "The title is missing."),
        ({"title": "x" * 256}, "The title is longer than 255 characters."),
        ({"title": "x", "description": "x" * 1001}, "longer than 1000 characters"),
        ({"title": "x", "shown_from": "never"}, "Choose when trainees see this."),
    ],
)
def test_a_form_that_cannot_be_saved_says_why(fields: dict[str, str], words: str, add, staff) -> None:
    place = f"{F1}/{add()}"
    answer = staff.send(staff.open(place), place, **{"version": "1", "shown_from": "gate", **fields})
    assert answer.status == 422
    assert words in answer.text


def test_order_hiding_and_deleting_are_undone_by_one_press(add, staff, browse, happened, app, database) -> None:
    first, second = add("first.pdf"), add("second.pdf", PDF + b"2")
    trainee = browse(happened.new)

    def shown() -> list[str]:
        return re.findall(r"\b(first|second)\b", card_of(trainee.open("/modules/F1")).replace("Download", ""))[::2]

    def press(number: int, act: str, to: str) -> None:
        assert staff.send(staff.open(F1), f"{F1}/{number}/{act}", to=to).status == 303

    assert shown() == ["first", "second"]
    press(second, "move", "up")
    press(second, "move", "up")
    assert shown() == ["second", "first"]
    (*_, address) = downloads(trainee.open("/modules/F1"))
    press(first, "state", "hidden")
    assert shown() == ["second"]
    assert get(address, app).status_code == 404
    press(first, "state", "shown")
    press(first, "state", "deleted")
    assert get(address, app).status_code == 404
    assert "Undo" in staff.open(F1).text
    press(first, "state", "restored")
    assert shown() == ["second", "first"]
    assert get(address, app).status_code == 200
    assert acts(database)[2:] == [
        "material_moved",
        "material_hidden",
        "material_shown",
        "material_deleted",
        "material_restored",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "http://films.example.org/a",
        "javascript:alert(1)",
        "https://user:secret@films.example.org/",
        "https://localhost/a",
        "https:///a",
        "https://films.example.org\\@evil.example.org/",
        "https://films.example.org/a b",
        "//films.example.org",
        "https://[::1",
        "https://films.example.org:99999/",
        "https://example.org/" + "a" * 2000,
        "",
    ],
)
def test_only_an_https_address_with_a_host_is_a_link(url: str, staff) -> None:
    answer = staff.send(staff.open(f"{F1}/link"), f"{F1}/link", url=url, title="A film", shown_from="gate")
    assert answer.status == 422
    assert "This is not an https address." in answer.text


@pytest.mark.parametrize("host", ["fa\N{LATIN SMALL LETTER SHARP S}.de", "www.\N{CYRILLIC SMALL LETTER A}pple.com"])
def test_a_host_that_programs_spell_in_different_ways_is_refused(host: str, staff) -> None:
    url = f"https://{host}/"
    answer = staff.send(staff.open(f"{F1}/link"), f"{F1}/link", url=url, title="A film", shown_from="gate")
    assert answer.status == 422
    assert "Write the host in its form that begins with xn--." in answer.text


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://films.example.org/a?b=1#c", "films.example.org"),
        ("https://FILMS.example.org:8443/", "films.example.org:8443"),
        ("https://www.xn--pple-43d.com/", "www.xn--pple-43d.com"),
    ],
)
def test_the_host_of_a_link_is_shown_before_it_is_saved(url: str, host: str, staff, browse, happened, app, database):
    fields = {"url": url, "title": "A film", "shown_from": "gate"}
    asked = staff.send(staff.open(f"{F1}/link"), f"{F1}/link", **fields)
    assert f"This link leads to {host}." in asked.text.replace(" .", ".")
    assert acts(database) == []
    (confirmed,) = re.findall(r'name="confirmed" value="([^"]*)"', asked.html)
    other = staff.send(asked, f"{F1}/link", **{**fields, "url": "https://other.example.org/"}, confirmed=confirmed)
    assert "leads to other.example.org" in other.text
    assert staff.send(asked, f"{F1}/link", **fields, confirmed=url).status == 303
    page = browse(happened.new).open("/modules/F1")
    assert host in card_of(page)
    (address,) = downloads(page)
    assert get(address, app).status_code == 303


def test_the_preview_says_what_trainees_see_and_when(add, staff) -> None:
    add("always.pdf")
    add("after.pdf", PDF + b"1", shown_from="session_end")
    text = staff.open(f"{F1}/preview").text
    before, _, after = text.partition("During their session")
    assert ("always" in before, "after" in before.replace("After", "")) == (True, False)
    assert "after" in after.partition("After their session")[2]


def test_the_programme_page_leads_to_the_materials_of_each_module(add, staff) -> None:
    add()
    page = staff.open("/desk/programme")
    assert F1 in page.links
    assert "Materials: 1" in page.text


@pytest.mark.parametrize("path", ["/desk/programme/NONE/materials", f"{F1}/999", f"{F1}/link", F1, f"{F1}/preview"])
def test_the_pages_are_for_staff_and_for_what_there_is(path: str, staff, browse, happened) -> None:
    assert browse(happened.whole).open(path).status == 403
    assert staff.open(path).status == (404 if "NONE" in path or "999" in path else 200)


def test_a_module_has_at_most_fifty_materials(staff, database, now, happened) -> None:
    with database.write() as connection:
        for number in range(records.MAX_PER_MODULE):
            content = records.Content(url=f"https://films.example.org/{number}")
            records.add(connection, "F1", content, title=f"Film {number}", actor="cli", now=now)
    assert upload(staff, F1, ("a.pdf", PDF)).status == 409
    page = staff.open(F1)
    assert page.status == 200


@pytest.mark.databases("sqlite")  # PostgreSQL's disk is not seen from here
def test_a_disk_that_is_full_refuses_the_file_in_plain_words(staff, app) -> None:
    object.__setattr__(app.extensions["gatehouse"].settings, "least_free_megabytes", 10**9)
    answer = upload(staff, F1, ("a.pdf", PDF))
    assert answer.status == 507
    assert "not enough room" in answer.text
    assert "storage_full" in answer.text


def test_files_that_nothing_refers_to_are_cleaned_and_no_others(
    add, staff, browse, happened, app, database, now, context
):
    kept, gone = add("kept.pdf"), add("gone.pdf", PDF + b"1")
    upload(staff, f"{F1}/{kept}/file", ("new.pdf", PDF + b"2"), version="1")
    staff.send(staff.open(F1), f"{F1}/{gone}/state", to="deleted")
    with database.read() as connection:
        (of_gone,) = connection.scalars(
            select(material_files.c.id).where(material_files.c.bytes == len(PDF + b"1")).order_by(material_files.c.id)
        ).all()[:1]
    storage.keep(database, io.BytesIO(PDF + b"broken off"), records.KINDS["pdf"], now, 0)

    def left(at) -> int:
        while storage.clean(database, at):
            pass
        with database.read() as connection:
            return connection.scalar(select(func.count()).select_from(material_chunks)) or 0

    assert left(now + timedelta(hours=1)) == 4
    assert left(now + timedelta(days=2)) == 3
    assert left(now + storage.UNDO + timedelta(minutes=1)) == 2
    with database.read() as connection:
        assert connection.scalar(select(material_files.c.cleaned_at).where(material_files.c.id == of_gone))
    restored = staff.send(staff.open(F1), f"{F1}/{gone}/state", to="restored")
    assert restored.status == 303  # the clock of the pages stands still


def test_a_file_of_an_earlier_version_is_deleted_and_brought_back(add, staff, app, database, now) -> None:
    place = f"{F1}/{add()}"
    refused = staff.send(staff.open(place), f"{place}/versions/1", to="deleted")
    assert refused.status == 409
    upload(staff, f"{place}/file", ("new.pdf", PDF + b"2"), version="1")
    earlier = next(each for each in downloads(staff.open(place)) if "version=1" in each)
    staff.send(staff.open(place), f"{place}/versions/1", to="deleted")
    assert get(earlier, app).status_code == 404
    staff.send(staff.open(place), f"{place}/versions/1", to="kept")
    assert get(earlier, app).data == PDF
    staff.send(staff.open(place), f"{place}/versions/1", to="deleted")
    while storage.clean(database, now + storage.UNDO + timedelta(minutes=1)):
        pass
    assert "File deleted" in staff.open(place).text
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(material_chunks)) == 1


def test_a_class_that_opens_a_file_at_once_makes_one_copy(add, database, settings) -> None:
    add()
    with database.read() as connection:
        file = records.load(connection, "F1", 1)
    reads = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def count(_connection, _cursor, statement, *_rest) -> None:
        if "material_chunks.data" in statement:
            reads.append(statement)

    with ThreadPoolExecutor(16) as threads:
        copies = set(threads.map(lambda _: storage.copy_of(database, settings.data, file), range(16)))
    event.remove(database.engine, "before_cursor_execute", count)
    assert len(copies) == 1
    assert len(reads) == 2  # the chunk, and that there is no other


def test_a_damaged_file_is_not_sent(add, browse, happened, app, database) -> None:
    add()
    (address,) = downloads(browse(happened.new).open("/modules/F1"))
    with database.write() as connection:
        connection.execute(update(material_chunks).values(data=b"other"))
    answer = get(address, app, Accept="application/json")
    assert (answer.status_code, answer.json["error"]) == (500, "file_damaged")
    assert not list(app.extensions["gatehouse"].settings.data.joinpath(storage.COPIES).iterdir())


def test_copies_that_were_not_asked_for_are_dropped(add, browse, happened, app, settings) -> None:
    add()
    (address,) = downloads(browse(happened.new).open("/modules/F1"))
    get(address, app)
    (copy,) = settings.data.joinpath(storage.COPIES).iterdir()
    storage.forget_copies(settings.data)
    assert copy.exists()
    os.utime(copy, (0, 0))
    storage.forget_copies(settings.data)
    assert not copy.exists()
    assert get(address, app).data == PDF


def test_a_material_deleted_too_long_ago_is_not_brought_back(add, staff, database, now) -> None:
    gone = add("gone.pdf")
    staff.send(staff.open(F1), f"{F1}/{gone}/state", to="deleted")
    page = staff.open(F1)
    with database.write() as connection:
        connection.execute(update(materials).values(deleted_at=now - storage.UNDO))
    refused = staff.send(page, f"{F1}/{gone}/state", to="restored")
    assert (refused.status, "material_gone" in refused.text) == (409, True)
