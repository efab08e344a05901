"""What the roles of a launch mean, and what each resulting role may do: two tables (facts: lti.md §5).

Roles are compared as whole values, never by a part of them (RO-1). What is in no row is a learner's (RO-4). The page
docs/roles.md is written from these tables.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Role = Literal["trainee", "staff"]
# "other": opens and sees what a trainee does, but is neither scored nor missed.
CourseRole = Literal["trainee", "staff", "other"]
Meaning = Literal["teacher", "teacher by old roles", "assistant", "learner", "not a learner", "test user"]

VOCABULARY = "http://purl.imsglobal.org/vocab/lis/v2/"
MEMBERSHIP = f"{VOCABULARY}membership#"
SUB_ROLE = f"{VOCABULARY}membership/"
INSTITUTION = f"{VOCABULARY}institution/person#"
SYSTEM = f"{VOCABULARY}system/person#"
LTI_SYSTEM = "http://purl.imsglobal.org/vocab/lti/system/person#"


@dataclass(frozen=True, slots=True)
class RoleForm:
    """One way in which platforms write a role: the exact values (the first one is the example), what they mean, why."""

    form: str
    values: tuple[str, ...]
    meaning: Meaning
    why: str


@dataclass(frozen=True, slots=True)
class CourseRight:
    """One thing that people do in a course by the role of their launch, who may, and on what terms. What staff do on
    the desk is in `lti_tool.rights`."""

    name: str
    says: str
    roles: frozenset[Role]
    terms: str


def course_role_of(roles: Iterable[str], *, old_roles: bool = False) -> CourseRole:
    """The person's role in a course: only a trainee is scored and missed (lti.md FR-4).

    A person whose roles in the course do not include Learner is "other", and so is a test user. A person without a
    known role in the course is a trainee (lti.md RO-4).
    """
    held = frozenset(roles)
    if is_teacher(held, old_roles=old_roles):
        return "staff"
    in_course = {each for each in held if each in OF_THE_COURSE or each.startswith(SUB_ROLE)}
    is_learner = not in_course or any(each in LEARNERS or each.startswith(LEARNER_SUB_ROLE) for each in in_course)
    return "trainee" if is_learner and held.isdisjoint(TEST_USERS) else "other"


def is_teacher(roles: Iterable[str], *, old_roles: bool = False) -> bool:
    """lti.md RO-1 to RO-5: a person with a teacher's and a learner's role is a teacher. A teaching assistant is not,
    although platforms send the principal role Instructor with that sub-role (LTI 1.3 core A.2.3). `old_roles` count
    only if the launch names no role in the course: a platform that names one has sent them all."""
    held = frozenset(roles)
    if old_roles and held.isdisjoint(OF_THE_COURSE):
        return not TEACHERS_BY_OLD_ROLES.isdisjoint(held)
    return not TEACHERS.isdisjoint(held - PRINCIPALS_OF_ASSISTANTS if held & ASSISTANTS else held)


def _named(prefix: str, *names: str) -> tuple[str, ...]:
    return tuple(prefix + name for name in names)


ASSISTANT_NAMES = (
    "TeachingAssistant",
    "TeachingAssistantGroup",
    "TeachingAssistantOffering",
    "TeachingAssistantSection",
    "TeachingAssistantSectionAssociation",
    "TeachingAssistantTemplate",
)
PRINCIPALS_OF_ASSISTANTS = frozenset({f"{MEMBERSHIP}Instructor", "Instructor"})

FORMS: tuple[RoleForm, ...] = (
    RoleForm(
        "Context role, full",
        _named(MEMBERSHIP, "Instructor", "Administrator"),
        "teacher",
        "A membership in this very course, as LTI 1.3 writes it. Open edX since 11.1.0 and Moodle send these.",
    ),
    RoleForm(
        "Context role, short",
        ("Instructor", "Administrator"),
        "teacher",
        "LTI 1.3 allows the core context roles without their vocabulary. Moodle's roster uses short names.",
    ),
    RoleForm(
        "Context role, full",
        _named(MEMBERSHIP, "Learner"),
        "learner",
        "Takes part in the course. Beside a teacher's role it takes nothing away.",
    ),
    RoleForm("Context role, short", ("Learner",), "learner", "The same without the vocabulary."),
    RoleForm(
        "Context role, full",
        _named(MEMBERSHIP, "ContentDeveloper", "Mentor", "Manager", "Member", "Officer"),
        "not a learner",
        "A membership that neither teaches nor is graded: Canvas sends Mentor for observers. Beside a teacher's "
        "or a learner's role it takes nothing away.",
    ),
    RoleForm(
        "Context role, short",
        ("ContentDeveloper", "Mentor", "Manager", "Member", "Officer"),
        "not a learner",
        "The same without the vocabulary.",
    ),
    RoleForm(
        "Test user",
        (*_named(LTI_SYSTEM, "TestUser"), *_named(SYSTEM, "TestUser")),
        "test user",
        "The platform's own account for trying things out. Canvas sends it beside Learner.",
    ),
    RoleForm(
        "Sub-role of a teaching assistant",
        (
            *_named(f"{SUB_ROLE}Instructor#", *ASSISTANT_NAMES),
            *_named(f"{MEMBERSHIP}Instructor#", "TeachingAssistant"),
            *_named(MEMBERSHIP, "TeachingAssistant"),
            *_named("Instructor#", "TeachingAssistant"),
            "TeachingAssistant",
        ),
        "assistant",
        "Helps a teacher and is none. The role Instructor beside it only says what the sub-role belongs to, so "
        "it does not count; Administrator does. Open edX sends it for Community TAs and Group Moderators.",
    ),
    RoleForm(
        "Sub-role of an instructor",
        _named(f"{SUB_ROLE}Instructor#", "PrimaryInstructor", "SecondaryInstructor", "Lecturer", "GuestInstructor")
        + _named(f"{SUB_ROLE}Instructor#", "ExternalInstructor", "Grader"),
        "learner",
        "A sub-role only details a role: the teacher's own role, Instructor, has to come beside it.",
    ),
    RoleForm(
        "Institution role",
        _named(INSTITUTION, "Instructor", "Faculty", "Administrator"),
        "teacher by old roles",
        "Describes a person in the institution, not in this course. Open edX before 11.1.0 sent nothing else, so a "
        "registration can be told to accept it (`gatehouse platform add --old-roles`) where no context role is sent.",
    ),
    RoleForm(
        "System role",
        _named(SYSTEM, "Administrator"),
        "teacher by old roles",
        "Describes a person on the platform, not in this course; the same switch for Open edX before 11.1.0.",
    ),
    RoleForm(
        "Institution role",
        _named(INSTITUTION, "Staff", "Student", "Learner", "Member", "Mentor", "Observer", "Alumni", "Guest", "Other")
        + _named(INSTITUTION, "None", "ProspectiveStudent"),
        "learner",
        "Nothing about this course.",
    ),
    RoleForm(
        "System role",
        _named(SYSTEM, "SysAdmin", "SysSupport", "Creator", "AccountAdmin", "User", "None"),
        "learner",
        "Nothing about this course.",
    ),
    RoleForm(
        "Outside the vocabulary",
        (f"{VOCABULARY}person#Administrator", "urn:lti:role:ims/lis/Instructor", "instructor", "Other", ""),
        "learner",
        "Unknown values give nothing: Moodle's site administrator in a roster, LTI 1.1, another case, an empty role. "
        "The same holds for every value that is in no row, and for an empty list.",
    ),
)

TEACHERS, TEACHERS_BY_OLD_ROLES, ASSISTANTS, TEST_USERS = (
    frozenset(value for each in FORMS if each.meaning == meaning for value in each.values)
    for meaning in ("teacher", "teacher by old roles", "assistant", "test user")
)
LEARNERS = frozenset({f"{MEMBERSHIP}Learner", "Learner"})
LEARNER_SUB_ROLE = f"{SUB_ROLE}Learner#"

OF_THE_COURSE = frozenset(
    value for each in FORMS if each.form.startswith(("Context role", "Sub-role")) for value in each.values
)

EVERYBODY: frozenset[Role] = frozenset({"trainee", "staff"})
STAFF: frozenset[Role] = frozenset({"staff"})
TRAINEES: frozenset[Role] = frozenset({"trainee"})

COURSE_RIGHTS: tuple[CourseRight, ...] = (
    CourseRight("open_module", "Open a module whose gate is open", EVERYBODY, ""),
    CourseRight(
        "enter_shut_module",
        "Open a module whose gate is shut",
        STAFF,
        "A module of the own course; whoever holds a role, every module. Each time is noted.",
    ),
    CourseRight("see_own_day", "See one's own attendance and credit", EVERYBODY, ""),
    CourseRight("question_own_day", "Say that one's own day looks wrong", EVERYBODY, "One open request a session."),
    CourseRight("ask_for_equivalency", "Ask for earlier training to be accepted", EVERYBODY, ""),
    CourseRight("see_retreats", "See the retreats and what they take", EVERYBODY, ""),
    CourseRight(
        "be_scored",
        "Get scores in the gradebook",
        TRAINEES,
        "Where the latest launch in that course was a learner's; never a test user.",
    ),
    CourseRight(
        "be_missed",
        "Be listed as missing from a live session",
        TRAINEES,
        "By the latest launch, else the roster; learners only, never a test user.",
    ),
    CourseRight("use_desk", "See classes and people of the own course", STAFF, "Everything else takes a role."),
    CourseRight("pick_content", "Pick what a link opens (deep linking)", STAFF, ""),
    CourseRight("review_submission", "Open a person's attendance from the gradebook", STAFF, "Looking is noted."),
)
