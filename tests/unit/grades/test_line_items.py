"""Who writes which column of a gradebook, and how columns are found, made and given up."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import update

from lti_tool.gates.publication import publish
from lti_tool.grades import line_item_search, line_items
from lti_tool.grades.line_item_search import LineItemSearch
from lti_tool.lti.platform_api import LONGEST_CALL
from lti_tool.tables.courses import enrolments
from lti_tool.tables.platforms import registrations
from tests.conftest import DEMO_PROGRAMME
from tests.simulated_platform import DECLARATIVE_SCOPES, EVERY_SCOPE, SCOPE
from tests.training_day import WHOLE_DAY, add_licence, add_platform

OTHER = {"content": "module:F2", "module_id": "F2"}


def publish_changed(course, old, new):
    text = DEMO_PROGRAMME.read_text(encoding="utf-8")
    assert old in text
    with course.database.write() as connection:
        publish(connection, text.replace(old, new), "changed.yaml", actor="cli", now=course.clock())


def labels(course):
    return sorted(item["label"] for item in course.platform.items.values())


def test_the_one_column_of_a_unit_belongs_to_it(course_on):
    course = course_on()
    place, url = course.add_given_unit()
    assert (course.connect(), course.connect()) == (1, 0)
    assert course.columns() == [(place, "completion", url, "given")]


def test_a_column_means_what_the_link_says(course_on):
    course = course_on()
    place, url = course.add_given_unit(score_meaning="ce")
    course.connect()
    assert course.columns() == [(place, "ce", url, "given")]


def test_a_link_that_says_otherwise_later_gives_its_column_another_meaning(course_on):
    course = course_on()
    place, url = course.add_given_unit()
    course.settle(*WHOLE_DAY)
    course.launch(place, score_meaning="ce")
    course.connect()
    assert (course.columns(), course.retired()) == ([(place, "ce", url, "given")], ["meaning_changed"])
    assert [(each.status, each.last_answer) for each in course.scores()] == [("parked", "column_meaning_changed")]


def test_new_content_behind_a_link_takes_its_column_over_once_and_for_all(course_on):
    course = course_on()
    first, url = course.add_given_unit()
    course.settle(*WHOLE_DAY)
    second = course.add_unit(line_item_url=url, **OTHER)
    course.connect()
    assert (course.columns(), course.retired()) == ([(second, "completion", url, "given")], ["taken_over"])
    course.launch(first)
    assert (course.connect(), course.columns()[0][0]) == (0, second)


def test_a_score_that_waited_for_a_column_that_was_taken_over_waits_for_staff(course_on):
    course = course_on()
    _, url = course.add_given_unit()
    course.settle(*WHOLE_DAY)
    course.add_unit(line_item_url=url, **OTHER)
    course.connect()
    course.deliverer.deliver_all()
    assert [(each.status, each.last_answer) for each in course.scores()] == [("parked", "column_taken_over")]
    assert course.platform.taken == []


def test_a_unit_that_no_longer_takes_grades_does_not_take_a_column_over(course_on):
    course = course_on()
    first, url = course.add_given_unit()
    course.add_unit(line_item_url=url, **{**OTHER, "ags_scopes": []})
    course.connect()
    assert [each[0] for each in course.columns()] == [first]


def test_a_newer_unit_keeps_its_column_when_a_launch_names_none(course_on):
    course = course_on("moodle")
    first, url = course.add_given_unit()
    second = course.add_unit(line_item_url=url, **OTHER)
    course.connect()
    course.launch(second, line_item_url=None)
    course.launch(first)
    course.connect()
    assert [each[0] for each in course.columns()] == [second]


def test_a_column_at_a_new_address_is_the_same_unit_s(course_on):
    course = course_on()
    place, _ = course.add_given_unit()
    course.connect()
    course.launch(place, line_item_url="https://lms.example.org/lineitems/new")
    course.connect()
    assert (course.columns()[0][2][-3:], course.retired()) == ("new", ["moved"])


def test_before_a_programme_is_published_nothing_is_connected(database, now):
    with database.write() as connection:
        assert line_items.connect(connection, now) == 0


def test_open_edx_gets_one_bound_column_for_each_unit(course_on):
    course = course_on()
    place = course.add_free_unit()
    course.search.search_all()
    ((_, meaning, url, origin),) = course.columns()
    assert (meaning, origin) == ("completion", "made")
    assert course.platform.items[url] == {
        "id": url,
        "label": "Module 1: Introduction to Ketamine-Assisted Psychotherapy – attendance",
        "scoreMaximum": 100,
        "resourceId": "F1:completion",
        "tag": "gatehouse-completion",
        "resourceLinkId": "unit-1",
    }
    assert course.columns()[0][0] == place


def test_a_unit_of_open_edx_for_credit_gets_the_credit_column_alone(course_on):
    course = course_on()
    course.add_free_unit(score_meaning="ce")
    course.search.search_all()
    (item,) = course.platform.items.values()
    assert item["label"].endswith("– CE credit (78 = 7.8 credits)")
    assert (item["scoreMaximum"], item["resourceLinkId"]) == (78, "unit-1")
    assert (item["resourceId"], item["tag"]) == ("F1:ce", "gatehouse-ce")


@pytest.mark.parametrize("kind", ["moodle", "generic"])
def test_elsewhere_both_columns_are_made_and_the_unit_s_own_is_for_attendance(course_on, kind):
    course = course_on(kind)
    course.add_free_unit(score_meaning="both")
    course.search.search_all()
    assert [(each[1], each[3]) for each in course.columns()] == [("completion", "made"), ("ce", "made")]
    bound = [item.get("resourceLinkId") for item in course.platform.items.values()]
    assert bound == ["unit-1", None]


def test_the_column_that_a_launch_names_is_for_attendance_and_only_the_other_is_made(course_on):
    course = course_on("moodle")
    free = {"ags_scopes": EVERY_SCOPE, "line_items_url": course.platform.line_items_url}
    _, url = course.add_given_unit(score_meaning="both", **free)
    course.search.search_all()
    assert [(each[1], each[3]) for each in course.columns()] == [("completion", "given"), ("ce", "made")]
    assert course.columns()[0][2] == url


def test_both_columns_get_their_score(course_on):
    course = course_on("moodle")
    course.add_free_unit(score_meaning="both")
    with course.database.write() as connection:
        add_licence(connection, course.people[0], course.clock())
    course.search.search_all()
    course.settle(*WHOLE_DAY)
    course.deliverer.deliver_all()
    assert [(each.meaning, each.status, each.desired_maximum) for each in course.scores()] == [
        ("completion", "delivered", 100.0),
        ("ce", "delivered", 7.8),
    ]
    assert sorted(grade.share for grade in course.platform.grades.values()) == [6.5 / 7.8, 1.0]


def test_a_link_for_credit_gets_no_attendance_column(course_on):
    course = course_on("generic")
    course.add_free_unit(score_meaning="ce")
    course.search.search_all()
    assert [each[1] for each in course.columns()] == ["ce"]


@pytest.mark.parametrize("kind", ["moodle", "generic", "canvas"])
def test_a_credit_column_is_made_only_where_someone_asks_for_it(course_on, kind):
    course = course_on(kind)
    course.platform.links = ("unit-1", "unit-2", "unit-3")
    free = {"ags_scopes": EVERY_SCOPE, "line_items_url": course.platform.line_items_url}
    course.add_given_unit(**free)
    course.add_free_unit(resource_link_id="unit-2")
    course.add_free_unit(resource_link_id="unit-3", score_meaning="completion")
    course.search.search_all()
    assert {each[1] for each in course.columns()} == {"completion"}


@pytest.mark.parametrize("named", [None, "completion"])
def test_the_programme_asks_for_a_credit_column_in_every_course(course_on, named):
    course = course_on("moodle")
    publish_changed(course, "single_line_item: completion", "single_line_item: completion\n  ce_column: true")
    course.add_free_unit(score_meaning=named)
    course.search.search_all()
    assert [each[1] for each in course.columns()] == ["completion", "ce"]


def test_a_course_has_one_credit_column_whatever_registrations_launch_from_it(course_on):
    course = course_on("moodle")
    course.platform.links = ("unit-1", "unit-2")
    with course.database.write() as connection:
        other = add_platform(connection, course.clock(), "moodle", client_id="client-2")
        add_licence(connection, course.people[0], course.clock())
        connection.execute(update(enrolments).values(registration_id=other))
    course.add_free_unit(score_meaning="both")
    course.add_free_unit(score_meaning="both", resource_link_id="unit-2", registration_id=other)
    course.search.search_all()
    assert [item["tag"] for item in course.platform.items.values()].count("gatehouse-ce") == 1
    course.settle(*WHOLE_DAY)
    course.deliverer.deliver_all()
    credit = [(user, score) for _, user, score, _ in course.platform.taken if score["scoreMaximum"] == 7.8]
    assert [(user, score["scoreGiven"]) for user, score in credit] == [(f"user-{course.people[0]}", 6.5)]


@pytest.mark.parametrize(
    "foreign",
    [
        {"resourceLinkId": "another-unit"},
        {"resourceLinkId": None, "tag": "quiz", "resourceId": "another-tool-1"},
        {"resourceLinkId": None, "resourceId": "another-tool-1"},
        {"tag": "gatehouse-ce", "resourceId": "F1:ce"},
    ],
)
@pytest.mark.parametrize("kind", ["moodle", "generic", "canvas"])
def test_nothing_is_posted_into_a_column_that_is_not_the_unit_s_whatever_the_launch_names(course_on, kind, foreign):
    course = course_on(kind)
    _, url = course.add_given_unit()
    course.platform.items[url] |= foreign
    course.settle(*WHOLE_DAY)
    course.deliverer.deliver_all()
    assert course.platform.taken == []
    assert [(each.status, each.last_answer) for each in course.scores()] == [("parked", "column_not_bound")]


def test_a_unit_whose_launch_names_a_foreign_column_makes_its_own_where_it_may(course_on):
    course = course_on("generic")
    free = {"ags_scopes": EVERY_SCOPE, "line_items_url": course.platform.line_items_url}
    _, foreign = course.add_given_unit(**free)
    course.platform.items[foreign] |= {"resourceLinkId": None, "tag": "quiz", "resourceId": "another-tool-1"}
    for _ in range(2):
        course.search.search_all()
        course.connect()
    course.settle(*WHOLE_DAY)
    course.deliverer.deliver_all()
    assert [(each[1], each[3]) for each in course.columns()] == [("completion", "made")]
    assert {url for url, *_ in course.platform.taken} == {course.columns()[0][2]} != {foreign}


@pytest.mark.parametrize("kind", ["openedx", "moodle", "canvas", "generic"])
def test_the_unit_s_own_column_is_made_and_scored_beside_odd_line_items_of_another_tool(course_on, kind):
    course = course_on(kind)
    theirs = {"id": "https://lms.example.org/lineitems/90", "label": "Quiz", "scoreMaximum": 10}
    odd = [{"scoreMaximum": "10.00"}, {"scoreMaximum": None, "tag": 7.5}, {"id": None}, {"resourceId": {"a": 1}}]
    course.platform.others = [*({**theirs, **each} for each in odd), {}, None, "not an item"]
    course.add_free_unit()
    course.search.search_all()
    ((_, meaning, url, origin),) = course.columns()
    assert (meaning, origin, course.trouble()) == ("completion", "made", [""])
    course.settle(*WHOLE_DAY)
    course.deliverer.deliver_all()
    assert [(to, score["scoreGiven"]) for to, _, score, _ in course.platform.taken] == [(url, 100)]


def test_a_link_for_credit_gives_its_attendance_column_up(course_on, clock):
    course = course_on("generic")
    place = course.add_free_unit()
    course.search.search_all()
    clock.advance(minutes=1)
    course.launch(place, score_meaning="ce")
    course.search.search_all()
    assert ([each[1] for each in course.columns()], course.retired()) == (["ce"], ["meaning_changed"])


def test_a_module_without_credit_gets_no_credit_column(course_on):
    course = course_on("generic")
    publish_changed(course, "credits: {apa: 6.5, scrc_brn: 7.8}", "credits: {}")
    course.add_free_unit()
    course.search.search_all()
    assert [each[1] for each in course.columns()] == ["completion"]


def test_the_first_item_of_an_open_edx_course_is_not_trusted_to_be_the_unit_s(course_on):
    """xblock-lti-consumer#707."""
    course = course_on()
    course.platform.links = ("unit-1", "unit-2")
    foreign = course.platform.add_item("unit-2")
    course.add_free_unit(line_item_url=foreign)
    assert course.connect() == 0
    course.search.search_all()
    ((_, _, url, origin),) = course.columns()
    assert (url != foreign, origin) == (True, "made")


def test_an_item_tied_to_the_unit_is_found_whoever_made_it(course_on):
    course = course_on()
    url = course.platform.add_item("unit-1", label="By hand")
    course.add_free_unit()
    course.search.search_all()
    assert [each[2:] for each in course.columns()] == [(url, "found")]
    assert len(course.platform.items) == 1


def test_a_given_column_that_is_tied_to_another_unit_is_not_used_on_open_edx(course_on):
    course = course_on()
    course.platform.links = ("unit-1", "unit-2")
    course.add_unit(line_item_url=course.platform.add_item("unit-2"))
    course.search.search_all()
    course.settle(*WHOLE_DAY)
    assert course.scores() == []


def test_a_given_column_is_looked_at_and_what_it_is_like_is_kept(course_on):
    course = course_on()
    place, url = course.add_given_unit()
    course.platform.items[url] |= {"scoreMaximum": 10.0, "endDateTime": "2026-12-24T10:00:00Z"}
    course.search.search_all()
    with course.database.read() as connection:
        (column,) = line_items.of_unit(connection, place)
    assert (column.is_bound, column.maximum, column.due_at.day) == (True, 10.0, 24)


def test_a_column_that_is_looked_after_is_looked_at_again_after_a_week(course_on, clock):
    course = course_on()
    course.add_given_unit()
    course.search.search_all()
    asked = len(course.platform.asked)
    clock.advance(days=6)
    course.search.search_all()
    assert len(course.platform.asked) == asked
    clock.advance(days=1)
    course.search.search_all()
    assert len(course.platform.asked) == asked + 1


def test_an_answer_that_is_lost_makes_no_second_column(course_on, clock):
    course = course_on()
    course.add_free_unit()
    course.platform.trouble = [None, "lost"]
    course.search.search_all()
    assert (course.columns(), course.trouble()) == ([], ["no_answer"])
    clock.advance(minutes=1)
    course.search.search_all()
    assert [each[3] for each in course.columns()] == ["found"]
    assert len(course.platform.items) == 1


def test_a_platform_that_is_away_for_an_hour_is_asked_less_and_less_and_then_found(course_on, clock):
    course = course_on("generic")
    course.add_free_unit(score_meaning="both")
    course.platform.down_until = clock() + timedelta(hours=1)
    for _ in range(90):
        course.search.search_all()
        course.platform.now = clock.advance(minutes=1)
    assert len(course.columns()) == 2
    assert len([each for each in course.platform.asked if each[0] == "GET"]) < 20


def test_two_workers_make_one_column_for_each_unit_and_one_for_the_credit(course_on):
    course = course_on("generic")
    for number in range(1, 9):
        course.platform.links += (f"unit-{number}",)
        course.add_free_unit(score_meaning="both", resource_link_id=f"unit-{number}")
    searches = [LineItemSearch(course.database, course.context.platform_api, course.clock) for _ in range(2)]
    threads = [threading.Thread(target=each.search_all) for each in searches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(course.platform.items) == 8 + 1
    assert sorted(each[1] for each in course.columns()) == ["ce"] + ["completion"] * 8


def test_who_lost_the_lease_makes_nothing(course_on, clock):
    course = course_on()
    course.add_free_unit()
    (slow,) = line_item_search.claim(course.database, clock(), 1)
    clock.at += LONGEST_CALL + timedelta(seconds=1)
    (fast,) = line_item_search.claim(course.database, clock(), 1)
    course.search.search(slow)
    assert course.platform.items == {}
    course.search.search(fast)
    assert len(course.platform.items) == 1


def test_a_refusal_is_kept_for_staff_and_asked_again_after_a_day(course_on, clock):
    course = course_on()
    course.add_free_unit()
    course.platform.trouble = [None, 403, 403]
    course.search.search_all()
    assert course.trouble() == ["line_items_refused"]
    clock.advance(hours=23)
    course.search.search_all()
    assert course.columns() == []
    clock.advance(hours=2)
    course.search.search_all()
    assert (len(course.columns()), course.trouble()) == (1, [""])


def test_a_launch_that_offers_something_else_is_followed_at_once(course_on, clock):
    course = course_on()
    place = course.add_unit(line_items_url=course.platform.line_items_url)
    course.search.search_all()
    assert course.columns() == []
    clock.advance(minutes=1)
    course.launch(place, ags_scopes=EVERY_SCOPE)
    course.search.search_all()
    assert len(course.columns()) == 1


def test_a_column_of_ours_that_was_removed_is_made_again_when_staff_ask_for_it(course_on, clock):
    course = course_on()
    place = course.add_free_unit()
    course.search.search_all()
    course.platform.items.clear()
    clock.advance(days=8)
    course.search.search_all()
    clock.advance(days=8)
    course.search.search_all()
    assert (course.columns(), course.retired(), course.trouble()) == ([], ["gone"], ["line_item_gone"])
    course.write(line_item_search.search_again, place, actor="staff:1")
    course.search.search_all()
    assert (len(course.columns()), course.trouble()) == (1, [""])


def test_a_column_that_lost_its_link_is_given_up_and_another_one_made_on_open_edx(course_on, clock):
    course = course_on()
    course.add_free_unit()
    course.search.search_all()
    (url,) = course.platform.items
    del course.platform.items[url]["resourceLinkId"]
    clock.advance(days=8)
    course.search.search_all()
    assert (len(course.columns()), course.retired()) == (1, ["not_bound"])
    assert course.columns()[0][2] != url


def test_two_units_of_one_module_share_a_credit_column(course_on):
    course = course_on("moodle")
    course.platform.links = ("unit-1", "unit-2")
    course.add_free_unit(score_meaning="both")
    course.add_free_unit(score_meaning="both", resource_link_id="unit-2")
    course.search.search_all()
    assert [each[1] for each in course.columns()] == ["completion", "ce", "completion"]
    assert course.trouble() == ["", ""]


def test_older_content_behind_a_link_does_not_take_a_found_column_back(course_on, clock):
    course = course_on()
    first = course.add_free_unit()
    course.search.search_all()
    clock.advance(minutes=1)
    second = course.add_free_unit(**OTHER)
    course.search.search_all()
    assert [each[0] for each in course.columns()] == [second]
    clock.advance(minutes=1)
    course.launch(first)
    course.search.search_all()
    assert ([each[0] for each in course.columns()], course.trouble()) == ([second], ["column_taken_over", ""])
    assert len(course.platform.items) == 1


def test_other_content_behind_a_link_gets_columns_of_its_own_elsewhere(course_on, clock):
    course = course_on("generic")
    course.add_free_unit(score_meaning="both")
    course.search.search_all()
    course.add_free_unit(score_meaning="both", **OTHER)
    course.search.search_all()
    assert len(course.columns()) == 4
    assert len([each for each in labels(course) if each.startswith("Module 2")]) == 2


def test_a_programme_whose_single_grade_means_credit_changes_the_meaning_on_open_edx(course_on, clock):
    course = course_on()
    course.add_free_unit()
    course.search.search_all()
    clock.advance(minutes=1)
    publish_changed(course, "single_line_item: completion", "single_line_item: ce")
    clock.advance(minutes=1)
    course.search.search_all()
    assert [(each[1], each[3]) for each in course.columns()] == [("ce", "found")]
    assert course.retired() == ["meaning_changed"]


def test_a_platform_that_is_switched_off_is_asked_nothing(course_on):
    course = course_on()
    course.add_free_unit()
    with course.database.write() as connection:
        connection.execute(update(registrations).values(status="disabled"))
    course.search.search_all()
    assert course.platform.asked == []


def test_without_the_right_to_read_columns_nothing_is_asked(course_on):
    course = course_on()
    course.add_given_unit(ags_scopes=[SCOPE + "score"])
    course.search.search_all()
    assert course.platform.asked == []


def test_declarative_units_are_never_given_a_second_column(course_on):
    course = course_on()
    course.add_given_unit(ags_scopes=DECLARATIVE_SCOPES, line_items_url=course.platform.line_items_url)
    course.search.search_all()
    assert len(course.platform.items) == 1


def test_a_search_that_was_planned_while_the_clock_was_far_ahead_comes_due_all_the_same(course_on):
    course = course_on()
    course.add_free_unit()
    course.clock.advance(days=400)
    course.search.search_all()
    course.clock.advance(days=-380)
    assert len(line_item_search.claim(course.database, course.clock(), 1)) == 1


def test_a_search_is_not_due_again_and_again_when_the_clock_is_set_back(course_on):
    course = course_on()
    course.add_free_unit()
    course.clock.advance(hours=-1)
    course.search.search_all()
    assert line_item_search.claim(course.database, course.clock(), 1) == []
    course.clock.advance(hours=1)
    assert len(line_item_search.claim(course.database, course.clock(), 1)) == 1
