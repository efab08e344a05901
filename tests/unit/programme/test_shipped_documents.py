"""The three documents that are shipped: sound, and saying what the programme's pages say."""

from dataclasses import fields
from datetime import date
from decimal import Decimal

import pytest

from lti_tool.gates.publication import check_document, publishable
from lti_tool.programme.model import UNSET, Head, Programme
from lti_tool.programme.validation import unexplained
from lti_tool.programme.versions import diff
from tests.unit.programme.documents import SHIPPED, shipped

FULL_DAYS = {"F1", "F2", "F3", "F4", "F5", "FP", "ADV1", "ADV2", "ADV3", "ST_CF", "ST_ETH", "ST_INT"}
# The sections of the document that fields of the programme come from.
WRITTEN_UNDER = {"bodies": "credit_bodies", "set_titles": "sets", "teachers": "faculty"} | {
    each.name: f"programme.{each.name}" for each in fields(Head)
}
HALF_DAYS = {"ST_MUS", "ST_MED", "ST_ACT"}


def read(name: str) -> Programme:
    return publishable(check_document(shipped(name), name))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_document_can_be_published(name: str) -> None:
    checked = check_document(shipped(name), name)
    assert checked.errors == ()
    assert unexplained(publishable(checked), checked.problems) == []


@pytest.mark.parametrize("name", SHIPPED)
def test_every_problem_of_a_shipped_document_has_its_line(name: str) -> None:
    assert all(each.line > 1 and each.path for each in check_document(shipped(name), name).problems)


@pytest.mark.parametrize("name", SHIPPED)
def test_all_thirty_contradictions_are_held_and_warned_of(name: str) -> None:
    checked = check_document(shipped(name), name)
    contradictions = publishable(checked).contradictions
    assert [each.id for each in contradictions] == [f"C{number:02}" for number in range(1, 31)]
    warned = {each.path: each.code for each in checked.warnings if each.path.startswith("contradictions.")}
    codes = {"staff": "contradiction_undecided", "none": "contradiction_held"}
    assert warned == {f"contradictions.{each.id}": codes[each.decide] for each in contradictions}


def test_the_current_catalogue_has_fifteen_modules_in_three_series() -> None:
    programme = read("polaris-2024.yaml")
    assert {series.id: len(series.modules) for series in programme.series} == {
        "foundational": 6,
        "advanced": 3,
        "special_topics": 6,
    }
    assert {each.id for each in programme.modules.values() if each.length == "half_day"} == HALF_DAYS
    assert {each.id for each in programme.modules.values() if each.length == "full_day"} == FULL_DAYS
    assert all(each.topics for each in programme.modules.values())


def test_what_the_pages_leave_open_stays_open() -> None:
    programme = read("polaris-2024.yaml")
    assert all(credits is None for each in programme.modules.values() for credits in each.credits.values())
    assert all(set(each.credits) == {"apa", "scrc_brn"} for each in programme.modules.values())
    assert all(each.agenda is None and each.objectives is None for each in programme.modules.values())
    assert all(body.policy is None for body in programme.bodies.values())
    assert programme.completion is None
    assert programme.sets["clinical_licences"] is None
    assert not any(retreat.publish for retreat in programme.retreats.values())


@pytest.mark.parametrize("name", ["polaris-2024.yaml", "demo.yaml"])
def test_the_diamonds_retreat_stays_unset(name: str) -> None:
    programme = read(name)
    assert programme.gates["RT_DIA"].mode == UNSET
    assert not programme.is_published("RT_DIA")


def test_only_the_one_printed_year_is_certain() -> None:
    certain = [each for each in read("polaris-2024.yaml").sessions if each.is_certain]
    assert [(each.id, each.date) for each in certain] == [("ST_INT-1", date(2025, 2, 28))]
    assert len(read("polaris-2024.yaml").sessions) == 23


def test_no_older_date_has_a_year() -> None:
    sessions = read("polaris-legacy.yaml").sessions
    assert len(sessions) == 17
    assert all(each.date is None and each.confidence == "none" and each.raw for each in sessions)


def test_the_older_catalogue_prints_its_prices_and_eight_credits() -> None:
    programme = read("polaris-legacy.yaml")
    seven = [programme.modules[f"L{number}"] for number in range(1, 8)]
    assert all(each.credits == {"apa": Decimal(8), "scrc_brn": Decimal(8)} for each in seven)
    assert all(each.fees == {"apa": Decimal(79), "scrc_brn": Decimal(79)} for each in seven)
    assert [each.price.tuition for each in seven if each.price] == [325, 325, 325, 325, 275, 325, 325]
    assert all(each.objectives for each in seven)
    assert programme.modules["L_MED"].credits == {}
    assert programme.packages[0].price.tuition == 2400
    assert sum(len(each.objectives or ()) for each in programme.modules.values()) == 8 + 7 + 6 + 6 + 3 + 6 + 6 + 8


def test_the_eight_contraindications_stand_as_printed() -> None:
    shown = read("polaris-2024.yaml").contraindications
    assert shown is not None
    assert shown.items == (
        "sleep apnea",
        "untreated blood pressure issues",
        "untreated heart conditions",
        "history of psychosis",
        "stroke risk",
        "active mania",
        "recent TBI",
        "untreated seizure disorders",
    )


def test_maps_is_not_accepted_with_the_printed_reason() -> None:
    maps = read("demo.yaml").equivalencies["F1"].provider("maps")
    assert maps is not None
    assert maps.decision == "not_accepted"
    assert maps.reason is not None
    assert maps.reason.startswith("not specific to ketamine in terms of history, dosing, protocol")


def test_no_older_module_counts_before_somebody_confirms_it() -> None:
    programme = read("polaris-2024.yaml")
    assert len(programme.earlier_modules) == 11
    assert programme.legacy_to_current == {}


def test_the_demonstration_has_the_chosen_days_and_credits() -> None:
    programme = read("demo.yaml")
    days = {
        length: {
            (programme.agendas[each.agenda or ""].instructional_minutes, *each.credits.values())
            for each in programme.modules.values()
            if each.length == length
        }
        for length in ("full_day", "half_day")
    }
    assert days == {
        "full_day": {(390, Decimal("6.5"), Decimal("7.8"))},
        "half_day": {(225, Decimal("3.75"), Decimal("4.5"))},
    }
    assert programme.completion is not None
    assert programme.completion.share == Decimal("0.8")
    assert all(body.policy and not body.policy.fee_required for body in programme.bodies.values())


def test_every_choice_of_the_demonstration_is_marked_as_made_for_it() -> None:
    real, demo = read("polaris-2024.yaml"), read("demo.yaml")
    derived = {"sessions", "made_for_demonstration"}
    unmarked = [
        change.path
        for change in diff(real, demo)
        if change.path.split(".")[0] not in derived and not _is_marked(change.path, demo)
    ]
    assert unmarked == []


def _is_marked(path: str, demo: Programme) -> bool:
    section, dot, rest = path.partition(".")
    written = WRITTEN_UNDER.get(section, section) + dot + rest
    marks = demo.made_for_demonstration
    return any(written == mark or written.startswith(f"{mark}.") or mark.startswith(f"{written}.") for mark in marks)


def test_the_demonstration_has_the_modules_of_the_programme_and_their_dates() -> None:
    real, demo = read("polaris-2024.yaml"), read("demo.yaml")
    changes = {change.path.split(".")[2] for change in diff(real, demo) if change.path.startswith("modules.")}
    assert changes == {"about", "agenda", "credits", "objectives", "price", "promotion", "title"}
    assert demo.modules.keys() == real.modules.keys()
    assert {each.id: each.raw for each in demo.sessions} == {each.id: each.raw for each in real.sessions}


def test_the_demonstration_names_no_one_and_nothing_of_the_centre() -> None:
    teachers = [*read("polaris-legacy.yaml").teachers.values(), *read("polaris-2024.yaml").teachers.values()]
    assert len(teachers) == 18
    surnames = {name.split()[-1] for each in teachers for name in (each.name, *each.also_spelt)}
    names = surnames | {"Polaris Insight", "polarisinsight", "Rainfall", "Adamova", "Lukoff", "Diamonds"}
    assert {name for name in names if name in shipped("demo.yaml")} == set()


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_printed_has_its_line(name: str) -> None:
    programme = read(name)
    entries = [
        *programme.ce_policy,
        *programme.faq,
        *programme.contacts.values(),
        *(text for gate in programme.gates.values() for text in gate.as_printed),
        *(text for each in programme.equivalencies.values() for text in each.as_printed),
        *programme.bodies.values(),
    ]
    assert len(entries) > 10
    assert [each for each in entries if not each.refs] == []


def test_the_statement_of_the_nurses_body_has_its_three_sentences() -> None:
    for name in SHIPPED:
        statement = read(name).bodies["scrc_brn"].statement or ""
        assert statement.startswith("CE credits for licensed nurses in California are provided by")
        assert statement.count("Spiritual Competency Resource Center") == 2
        assert statement.endswith("(BRN Provider CEP16887) for licensed nurses in California.")
