"""The table of roles, whole: every row, and everything that is in no row."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_tool.lti.roles import (
    COURSE_RIGHTS,
    EVERYBODY,
    FORMS,
    INSTITUTION,
    MEMBERSHIP,
    SUB_ROLE,
    SYSTEM,
    course_role_of,
    is_teacher,
)

ROWS = [(value, each.meaning) for each in FORMS for value in each.values]
VALUES = [value for value, _ in ROWS]
TEACHING = [value for value, meaning in ROWS if meaning == "teacher"]
ASSISTANT = f"{SUB_ROLE}Instructor#TeachingAssistant"

roles_of_any_kind = st.one_of(
    st.text(max_size=40),
    st.builds("{}{}".format, st.sampled_from(VALUES), st.text(min_size=1, max_size=3)),
    st.builds("{}{}".format, st.text(min_size=1, max_size=3), st.sampled_from(VALUES)),
    st.sampled_from(VALUES).map(str.upper),
    st.sampled_from(VALUES).map(lambda value: value.replace("http:", "https:")),
).filter(lambda role: role not in VALUES)


@pytest.mark.parametrize(("value", "meaning"), ROWS)
def test_every_row_means_what_it_says(value: str, meaning: str) -> None:
    assert is_teacher([value]) == (meaning == "teacher")
    assert is_teacher([value], old_roles=True) == (meaning in ("teacher", "teacher by old roles"))


@given(roles=st.lists(roles_of_any_kind, max_size=5), old_roles=st.booleans())
def test_what_is_in_no_row_is_a_learner_whatever_it_resembles(roles: list[str], old_roles: bool) -> None:
    assert not is_teacher(roles, old_roles=old_roles)


@given(others=st.lists(st.one_of(roles_of_any_kind, st.sampled_from(VALUES)), max_size=5))
def test_an_administrator_of_the_course_teaches_whatever_else_they_are(others: list[str]) -> None:
    assert is_teacher([*others, MEMBERSHIP + "Administrator"])


def test_no_value_stands_in_two_rows() -> None:
    assert len(VALUES) == len(set(VALUES))


def test_who_teaches_without_the_switch_is_written_out() -> None:
    """A row that is added by mistake opens the desk: so the few that do stand here once more."""
    names = ("Instructor", "Administrator")
    assert set(TEACHING) == {*names, *(MEMBERSHIP + name for name in names)}


@pytest.mark.parametrize(
    "roles",
    [
        [MEMBERSHIP + "Learner", MEMBERSHIP + "Instructor"],
        [MEMBERSHIP + "Administrator", INSTITUTION + "None", SYSTEM + "None"],
        [INSTITUTION + "Staff", "Other", MEMBERSHIP + "Instructor"],
        [MEMBERSHIP + "Instructor", f"{SUB_ROLE}Instructor#PrimaryInstructor"],
        [MEMBERSHIP + "Administrator", MEMBERSHIP + "Instructor", ASSISTANT],
        ["", "Instructor"],
    ],
)
def test_a_teacher_with_other_roles_is_a_teacher(roles: list[str]) -> None:
    assert is_teacher(roles)


@pytest.mark.parametrize(
    "roles",
    [
        [],
        [""],
        [MEMBERSHIP + "Learner", INSTITUTION + "None", SYSTEM + "None", ASSISTANT],
        [MEMBERSHIP + "Instructor", ASSISTANT],
        ["Instructor", ASSISTANT],
        [
            MEMBERSHIP + "Instructor",
            "Instructor",
            MEMBERSHIP + "Learner",
            f"{SUB_ROLE}Instructor#TeachingAssistantGroup",
        ],
        [INSTITUTION + "Instructor", SYSTEM + "Administrator", MEMBERSHIP + "Learner"],
    ],
)
def test_assistants_and_people_of_the_institution_are_no_teachers(roles: list[str]) -> None:
    assert not is_teacher(roles)


@pytest.mark.parametrize(
    "roles",
    [
        [INSTITUTION + "Instructor", MEMBERSHIP + "Learner"],
        [SYSTEM + "Administrator", INSTITUTION + "Faculty", "Learner"],
        [INSTITUTION + "Instructor", ASSISTANT],
        [INSTITUTION + "Instructor", MEMBERSHIP + "Instructor", ASSISTANT],
    ],
)
def test_old_roles_count_only_where_the_launch_says_nothing_of_the_course(roles: list[str]) -> None:
    """Open edX before 11.1.0 sent institution and system roles only; since then the switch may have been left on."""
    assert not is_teacher(roles, old_roles=True)


@given(roles=st.lists(st.sampled_from(VALUES), max_size=6).flatmap(st.permutations))
def test_the_order_and_the_number_of_roles_change_nothing(roles: list[str]) -> None:
    assert is_teacher(roles) == is_teacher(sorted(roles)) == is_teacher([*roles, *roles])


def test_every_right_belongs_to_somebody() -> None:
    assert all(each.roles and each.roles <= EVERYBODY for each in COURSE_RIGHTS)
    assert set(chain.from_iterable(each.roles for each in COURSE_RIGHTS)) == EVERYBODY
    assert len({each.name for each in COURSE_RIGHTS}) == len(COURSE_RIGHTS)


LTI_TEST_USER = "http://purl.imsglobal.org/vocab/lti/system/person#TestUser"
LEARNER = MEMBERSHIP + "Learner"


@pytest.mark.parametrize(
    ("roles", "course_role"),
    [
        ([LEARNER], "trainee"),
        (["Learner"], "trainee"),
        ([f"{SUB_ROLE}Learner#GuestLearner"], "trainee"),
        ([LEARNER, MEMBERSHIP + "Mentor"], "trainee"),
        ([LEARNER, ASSISTANT, MEMBERSHIP + "Instructor"], "trainee"),
        ([], "trainee"),
        ([""], "trainee"),
        ([INSTITUTION + "Student"], "trainee"),
        ([MEMBERSHIP + "Mentor"], "other"),
        (["Mentor"], "other"),
        ([f"{SUB_ROLE}Mentor#Observer"], "other"),
        ([MEMBERSHIP + "ContentDeveloper"], "other"),
        ([MEMBERSHIP + "Manager", INSTITUTION + "Student"], "other"),
        ([MEMBERSHIP + "Instructor", ASSISTANT], "other"),
        ([LEARNER, LTI_TEST_USER], "other"),
        ([LTI_TEST_USER], "other"),
        ([LEARNER, MEMBERSHIP + "Instructor"], "staff"),
    ],
)
def test_only_learners_are_trainees_of_a_course_and_test_users_never(roles: list[str], course_role: str) -> None:
    assert course_role_of(roles) == course_role
