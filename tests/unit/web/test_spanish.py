"""Pages and messages in Spanish: who gets them, and that nothing on them is left in English."""

import re
from datetime import datetime
from functools import cache

import pytest
from flask import Flask
from icalendar import Calendar
from sqlalchemy import select

from lti_tool import people
from lti_tool.lti.claims import LTI
from lti_tool.tables.gates import decisions
from lti_tool.tables.people import trainees
from tests.catalogue import load
from tests.clock import TestClock
from tests.platform import Platform
from tests.unit.web.browser import BASE, Browser, Page, calendar_address

PRESENTATION = LTI + "launch_presentation"
HOSTILE = (
    "fr", "", " ", "es" * 400, "es\0", "../../es", "es/../en", "<script>", "es;q=1", "-es", "es-", None, 7, ["es"],
    {"es": 1}, True,
)  # fmt: skip

PIECE = re.compile(r"(%\(\w+\)s|\{\w+\}|</?\w[^>]*>|\s+)")
VALUE = ".{1,90}?"

pytestmark = pytest.mark.databases("sqlite")


def language_of(page: Page) -> str:
    found = re.search(r'<html lang="([^"]*)">', page.html)
    assert found
    return found[1]


def english_in(text: str) -> set[str]:
    """The messages of three words or more that stand in a text untranslated, whatever their values."""
    return {message for message, pattern in english_messages() if pattern.search(text)}


@cache
def english_messages() -> tuple[tuple[str, re.Pattern[str]], ...]:
    both = [
        (english, given)
        for each in load("es")
        for english, given in zip(
            (each.id,) if isinstance(each.id, str) else each.id,
            (each.string,) if isinstance(each.string, str) else each.string,
            strict=True,
        )
    ]
    found = []
    for english, given in both:
        pieces = [each for each in PIECE.split(english) if each and not each.isspace() and not each.startswith("<")]
        words = [each for each in pieces if not PIECE.fullmatch(each) and each.strip("()")]
        if len(words) > 2 and english != given:
            pattern = r"\s*".join(VALUE if PIECE.fullmatch(each) else re.escape(each) for each in pieces)
            found.append((english, re.compile(rf"(?<!\w){pattern}(?!\w)")))
    return tuple(found)


def in_english(page: Page) -> set[str]:
    return english_in(page.text)


@pytest.fixture
def in_spanish(browse, database):
    """A browser of a person who chose Spanish."""

    def browser(trainee_id: int, *at: datetime) -> Browser:
        with database.write() as connection:
            people.choose_language(connection, trainee_id, "es")
        return browse(trainee_id, *at)

    return browser


@pytest.mark.parametrize("locale", ["es", "es-MX", "es_419", "ES"])
@pytest.mark.usefixtures("published")
def test_a_launch_from_a_course_in_spanish_opens_pages_in_spanish(
    app: Flask, platform: Platform, clock: TestClock, locale: str
) -> None:
    client = app.test_client()
    answer = platform.launch(client, clock(), **{PRESENTATION: {"locale": locale}, "custom": {}})
    page = Browser(client).open(answer.headers["Location"])
    assert language_of(page) == "es"
    assert ">Mi expediente</a>" in page.html


@pytest.mark.parametrize("locale", HOSTILE, ids=repr)
@pytest.mark.usefixtures("published")
def test_any_other_locale_leaves_a_launch_in_english(
    app: Flask, platform: Platform, clock: TestClock, locale: object
) -> None:
    client = app.test_client()
    answer = platform.launch(client, clock(), **{PRESENTATION: {"locale": locale}})
    assert answer.status_code == 303
    assert language_of(Browser(client).open(answer.headers["Location"])) == "en"


@pytest.mark.parametrize("presentation", ["es", ["es"], 7, None, []])
@pytest.mark.usefixtures("published")
def test_a_presentation_that_is_no_claim_is_ignored(
    app: Flask, platform: Platform, clock: TestClock, presentation: object
) -> None:
    assert platform.launch(app.test_client(), clock(), **{PRESENTATION: presentation}).status_code == 303


@pytest.mark.usefixtures("published")
def test_what_a_person_chose_outlives_the_next_launch(
    app: Flask, platform: Platform, clock: TestClock, database
) -> None:
    client = app.test_client()
    launched = platform.launch(client, clock(), **{PRESENTATION: {"locale": "es"}})
    reader = Browser(client)
    page = reader.open(launched.headers["Location"])
    assert reader.send(page, "/language", language="en", to="/record").sent_to == "/record"
    assert language_of(reader.open("/record")) == "en"
    platform.launch(client, clock.advance(hours=1), **{PRESENTATION: {"locale": "es"}})
    assert language_of(reader.open("/record")) == "en"
    with database.read() as connection:
        row = connection.execute(select(trainees.c.language, trainees.c.platform_language)).one()
    assert tuple(row) == ("en", "es")


def test_the_switch_stands_at_the_foot_of_every_page_for_trainees(browse, happened) -> None:
    reader = browse(happened.new)
    page = reader.open("/help")
    assert '<button class="btn sm quiet" name="language" value="es" lang="es">Español</button>' in page.html
    back = reader.send(page, "/language", language="es", to="/help")
    assert (back.status, back.sent_to) == (303, "/help")
    page = reader.open("/help")
    assert language_of(page) == "es"
    assert 'value="en" lang="en">English</button>' in page.html


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example/", "/\\evil.example", "/a\r\nb", "", "help"])
def test_the_switch_leads_to_pages_of_ours_only(browse, happened, to: str) -> None:
    reader = browse(happened.new)
    assert reader.send(reader.open("/help"), "/language", language="es", to=to).sent_to == "/"


def test_the_switch_needs_the_token_of_the_session_and_a_language_that_has_a_catalogue(browse, happened) -> None:
    reader = browse(happened.new)
    assert reader.client.post("/language", base_url=BASE, data={"language": "es"}).status_code == 403
    reader.send(reader.open("/help"), "/language", language="xx", to="/help")
    assert language_of(reader.open("/help")) == "en"


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("es-US,es;q=0.9,en;q=0.8", "es"),
        ("en,es;q=0.5", "en"),
        ("fr,es;q=0.5", "es"),
        ("q=;;,=", "en"),
        ("x" * 9000, "en"),
    ],
)
def test_where_nothing_is_said_the_browser_decides(browse, happened, accepted: str, expected: str) -> None:
    reader = browse(happened.new)
    answer = reader.client.get("/help", base_url=BASE, headers={"Accept-Language": accepted})
    assert language_of(Page(answer)) == expected


def test_a_refusal_without_a_session_is_in_the_language_of_the_browser(client, happened) -> None:
    page = Page(client.get("/record", base_url=BASE, headers={"Accept-Language": "es"}))
    assert (page.status, page.heading) == (403, "Esta página no está abierta para usted aquí")
    assert "No ha iniciado sesión aquí" in page.text
    assert in_english(page) == set()


def test_the_desk_stays_in_english(app: Flask, browse, happened, database) -> None:
    with database.write() as connection:
        people.choose_language(connection, happened.staff, "es")
    reader = browse(happened.staff)
    answer = reader.client.get("/desk", base_url=BASE, headers={"Accept-Language": "es"})
    assert language_of(Page(answer)) == "en"
    assert language_of(reader.open("/modules/F2")) == "en"


def test_english_that_is_left_is_noticed() -> None:
    assert english_in("Módulo 1. Completed Tue 1 Dec 2026 · 6 ASWB credits") == set()
    left = "Not completed on %(day)s: %(minutes)s missing."
    assert english_in("Módulo 1. Not completed on Tue 1 Dec: 20 min missing. Ver fechas") == {left}
    assert english_in("Estado: With the training team") >= {"With the training team"}


def test_the_home_page_names_the_next_class_and_its_time_in_spanish(in_spanish, happened) -> None:
    page = in_spanish(happened.new).open("/")
    assert page.heading == "Módulo 1 comienza en 14 días"
    assert "mar 15 dic · 9:00 a. m.–5:00 p. m. hora del Pacífico" in page.text
    assert "Asista a 312 de 390 minutos de enseñanza para completar." in page.text


def test_a_locked_module_says_what_it_waits_for_in_spanish(in_spanish, happened) -> None:
    page = in_spanish(happened.new).open("/modules/F2")
    assert "Bloqueado" in page.text
    assert "Complete primero Módulo 1. Después, Módulo 2 se abrirá por sí solo." in page.text
    assert "Usted aún no ha tomado Módulo 1." in page.text
    assert "¿Se formó en otra institución?" in page.text
    assert "Ver fechas de Módulo 1" in page.text


def test_a_day_and_its_credit_are_told_in_spanish(in_spanish, happened) -> None:
    text = in_spanish(happened.whole).open(f"/sessions/{happened.day}").text
    assert "Su día en Módulo 1" in text
    assert "390 de 390 minutos de enseñanza · se necesitan 312 para completar" in text
    assert "Su licencia (LMFT, CA) da derecho a los créditos de este organismo." in text
    assert "Su licencia estaba vigente el 10 nov 2026" in text
    assert "Asistió a 390 min de 390 min. Tiempo perdido para estos créditos: 0 min" in text


def test_a_form_that_is_refused_says_why_in_spanish(in_spanish, happened) -> None:
    reader = in_spanish(happened.new)
    page = reader.send(reader.open("/equivalency/F1"), "/equivalency/F1", course_title="x" * 300)
    assert page.status == 422
    assert "Aún no se ha guardado nada. Por favor, revise:" in page.text
    assert "Elija dónde se formó." in page.text
    assert "Title of the course" not in page.text
    assert "Título del curso: use como máximo 255 caracteres." in page.text


def test_the_calendar_of_a_person_is_in_their_language(in_spanish, happened, client) -> None:
    answer = client.get(calendar_address(in_spanish(happened.new)), headers={"Accept-Language": "en"})
    events = Calendar.from_ical(answer.data).walk("VEVENT")
    assert "Esta sesión es en vivo y no se graba." in {str(each["description"]) for each in events}
    assert any(str(each["summary"]).startswith("Módulo 1: ") for each in events)


def test_the_record_of_decisions_is_the_same_in_every_language(in_spanish, browse, happened, database) -> None:
    """A decision is kept with its labels in English, whoever read it."""
    in_spanish(happened.new).open("/modules/F2")
    with database.write() as connection:
        people.choose_language(connection, happened.new, "en")
    browse(happened.new).open("/modules/F2")
    with database.read() as connection:
        digests = connection.scalars(select(decisions.c.digest).order_by(decisions.c.id.desc()).limit(2)).all()
    assert len(digests) == 2
    assert digests[0] == digests[1]
