"""What is wrong with the set-up of one unit, and where to fix it, in the words of each platform's own screens.

PURE. Findings come from launches and services only. What no platform reports is a list for staff to check manually.
(openedx.md §1, §4, §5, §7; moodle.md §1, §5, §6)
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

STUDIO = "In Studio, edit the unit: "
MOODLE_SITE = "In Site administration, Plugins, Activity modules, External tool, edit the tool: "

# Finding → what to do on any platform.
ANYWHERE: Mapping[str, str] = {
    "client_replaced": "Register the new client id if it is not registered yet, and disable the old registration.",
    "offering_unknown": "Correct the unit's custom parameter to {to_type}, then open the unit once.",
    "module_missing": "Add the custom parameter module_id (such as module_id=F1), or choose its module under Courses.",
    "keys_unreadable": "Check the key set address in the platform's settings, and that the platform can reach it.",
    "token_refused": "Compare client id and key set address on both sides, and the clocks of both machines.",
    "service_foreign": "If that host is the platform's, name it: `gatehouse platform change --service-origin`.",
    "grades_unreadable": "Tell the people who run the platform: the claim of the Assignment and Grade Services in its "
    "launches is not as AGS 2.0 describes it. Scores go out once a launch brings it right.",
    "grades_off": "Allow the tool the Assignment and Grade Services in the platform's settings.",
    "line_item_missing": "Make the unit graded, or allow the tool to manage line items.",
    "line_item_gone": "Make the unit graded again if it is not, then press Check again on the desk's page Scores.",
    "grades_refused": "Allow the tool the Assignment and Grade Services in this course, with line items.",
    "line_item_unbound": "Make the unit graded itself, then open it once.",
    "grade_shared": "Give each module its own unit if its grade matters.",
    "past_due": "Move the due date to after the session, or allow late grades.",
    "roster_off": "Allow the tool Names and Role Provisioning Services.",
    "roster_too_large": "Nothing to do here. The people who run the platform can raise its limit.",
    "roster_refused": "Allow the tool Names and Role Provisioning Services in this course.",
    "roster_unreadable": "The desk's page Rosters says more. Tell the people who run the platform.",
    "email_not_shared": "Let the platform share e-mail addresses with this tool.",
    "name_not_shared": "Let the platform share names with this tool.",
}

# What one platform calls it.
ON_PLATFORM: Mapping[str, Mapping[str, str]] = {
    "openedx": {
        "client_replaced": "Give all units of the course one shared passport, then register that client id once.",
        "offering_unknown": f"{STUDIO}Custom Parameters: {{to_type}}. Then open the unit once.",
        "module_missing": f'{STUDIO}Custom Parameters: ["module_id=F1"]. Or choose its module under Courses.',
        "keys_unreadable": f"{STUDIO}Tool Public Key Mode: Keyset URL, and Tool Keyset URL is this tool's.",
        "grades_off": f"{STUDIO}Assignment and Grades: Declarative.",
        "line_item_missing": f"{STUDIO}This activity is graded: True. Then open the unit once as a learner.",
        "line_item_unbound": f"{STUDIO}Assignment and Grades: Declarative; the column is then made for this unit.",
        "past_due": f"{STUDIO}Accept grades after due date: True. Or move the due date to after the session.",
        "roster_off": f"{STUDIO}Names & Roles (NRPS): True.",
        "roster_refused": f"{STUDIO}Names & Roles (NRPS): True.",
        "email_not_shared": f"{STUDIO}Share Email: True. The course must be allowed to share it "
        "(ask the people who run the platform). Each learner then agrees once.",
        "name_not_shared": f"{STUDIO}Share Full name: True. The course must be allowed to share it.",
    },
    "moodle": {
        "offering_unknown": "In the activity's settings: Custom parameters: {to_type}. Then open the activity once.",
        "module_missing": "In the activity's settings: Custom parameters: module_id=F1. Or choose its module under "
        "Courses.",
        "keys_unreadable": f"{MOODLE_SITE}Public key type is Keyset URL. Moodle reads it itself, from public addresses "
        "and ports 80 and 443 only.",
        "grades_off": f"{MOODLE_SITE}IMS LTI Assignment and Grade Services: Use this service for grade sync.",
        "line_item_missing": "In the activity's settings: Allow the tool to add grades.",
        "roster_off": f"{MOODLE_SITE}IMS LTI Names and Role Provisioning: Use this service.",
        "roster_refused": f"{MOODLE_SITE}IMS LTI Names and Role Provisioning: Use this service.",
        "email_not_shared": f"{MOODLE_SITE}Privacy: Share launcher's email with tool: Always.",
        "name_not_shared": f"{MOODLE_SITE}Privacy: Share launcher's name with tool: Always.",
    },
    "canvas": {
        "module_missing": "Add the unit again through Assignments, External Tool, or set the custom field module_id.",
        "grades_off": "In the Developer Key: allow the tool to create, view and submit grades, then use it as an "
        "assignment of the type External Tool.",
        "roster_off": "In the Developer Key: can retrieve user data associated with the context.",
        "email_not_shared": "In the Developer Key, Additional settings: Privacy level is Public.",
        "name_not_shared": "In the Developer Key, Additional settings: Privacy level is Public.",
    },
}

# What no launch and no service reports: staff check it manually.
BY_HAND: Mapping[str, tuple[str, ...]] = {
    "openedx": (
        "This activity is graded: True. Open edX accepts a score whether the unit is graded or not, but shows it "
        "only if it is.",
        "Accept grades after due date: True, if the unit or its section has a due date.",
        "Registered Redirect URIs holds exactly one address: this tool's launch address.",
    ),
    "moodle": ("The activity is not hidden from the learners: a hidden one accepts scores but shows them to no one.",),
    "canvas": ("The assignment is published, and its grade is posted (not hidden) when learners should see it.",),
    "generic": ("The unit is visible to learners, and its grade counts where it should.",),
}


def advice(profile: str, code: str) -> str:
    """What to do about a finding on this kind of platform."""
    return ON_PLATFORM.get(profile, {}).get(code) or ANYWHERE[code]


State = Literal["wrong", "note"]

SCORE = "/scope/score"
MANAGE = "/scope/lineitem"


@dataclass(frozen=True, slots=True)
class Column:
    """One gradebook column that a unit writes. `is_bound`: it belongs to this unit; None: not checked yet.
    `due_at`: the due date on the platform."""

    meaning: str
    is_bound: bool | None
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unit:
    """One content of one resource link, according to its latest launch and the platform's services.

    `column_gone`: a column that the tool had found or made was removed on the platform. `answers`: service → the codes
    of its latest failures for this unit (for the roster, its course). `score_due_by`: when the last session of its
    module ends. `newer_client`: a later launch of the same unit came with another client id. `unknown`: the id of its
    module or retreat, if the programme has none of this id; `to_type`: the custom parameters that would do instead;
    `refused_person`: who met the refusal last, if anyone has since.
    """

    placement_id: int
    profile: str
    content: str
    module_id: str | None
    ags_scopes: Sequence[str]
    has_unreadable_grades: bool
    has_line_item: bool
    has_line_items: bool
    has_roster: bool
    shares_name: bool | None
    shares_email: bool | None
    columns: Sequence[Column]
    column_gone: bool
    answers: Mapping[str, Collection[str]]
    score_due_by: datetime | None
    newer_client: bool
    holds_another_modules_grade: bool
    unknown: str
    to_type: str
    refused_person: str

    @property
    def brings_scores(self) -> bool:
        return self.module_id is not None

    def may(self, scope: str) -> bool:
        return any(each.endswith(scope) for each in self.ags_scopes)


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding about a unit: "wrong" keeps something from working, "note" could be better."""

    code: str
    state: State
    says: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Sign:
    """How a problem is recognised, and its sentence. `advice` says how to fix it, which depends on the platform."""

    code: str
    state: State
    shows: Callable[[Unit], bool]
    says: str


def examine(unit: Unit) -> Iterator[Finding]:
    """The findings about a unit, the most serious first."""
    for sign in SIGNS:
        if sign.shows(unit):
            words = {"unknown": unit.unknown, "to_type": unit.to_type, "who": unit.refused_person or "no one yet"}
            next_step = advice(unit.profile, sign.code)
            yield Finding(sign.code, sign.state, sign.says.format(**words), next_step.format(**words))


def has_no_line_item(unit: Unit) -> bool:
    """Scores are allowed, but there is no column and no right to make one."""
    can_make = unit.has_line_items and unit.may(MANAGE)
    has_some = unit.has_line_item or unit.columns or can_make or unit.column_gone
    return unit.brings_scores and unit.may(SCORE) and not has_some


def is_due_before_the_end(unit: Unit) -> bool:
    """A column is due before the last session of its module ends."""
    if unit.score_due_by is None:
        return False
    return any(each.due_at is not None and each.due_at < unit.score_due_by for each in unit.columns)


def failed(service: str, *codes: str) -> Callable[[Unit], bool]:
    """Whether the service last failed in one of these ways."""
    return lambda unit: not set(codes).isdisjoint(unit.answers.get(service, ()))


def grades_are_refused(unit: Unit) -> bool:
    """The platform offers grades but refuses our calls."""
    line_items, scores = failed("line_items", "line_items_refused", "scope_refused"), failed("scores", "scope_refused")
    return unit.brings_scores and (line_items(unit) or scores(unit))


SIGNS: tuple[Sign, ...] = (
    Sign(
        "client_replaced",
        "wrong",
        lambda unit: unit.newer_client,
        "This unit is launched with another client id now; what was sent under this one no longer reaches it.",
    ),
    Sign(
        "offering_unknown",
        "wrong",
        lambda unit: bool(unit.unknown),
        "The unit names {unknown}, which the published programme does not have: it opens for no one. Opened last by: "
        "{who}.",
    ),
    Sign(
        "module_missing",
        "note",
        lambda unit: not unit.content and unit.module_id is None,
        "The unit does not say what it opens (no module_id), so it opens the list of modules.",
    ),
    Sign(
        "keys_unreadable",
        "wrong",
        failed("token", "tool_keys_unreadable"),
        "The platform cannot read this tool's public key set, so it accepts no scores and no requests from us.",
    ),
    Sign(
        "token_refused",
        "wrong",
        failed("token", "token_refused", "token_url_wrong", "assertion_expired"),
        "The platform refuses this tool access to its services.",
    ),
    Sign(
        "service_foreign",
        "wrong",
        lambda unit: any(failed(service, "service_foreign")(unit) for service in unit.answers),
        "A service of this unit is on a host that is not registered for the platform: nothing is sent there.",
    ),
    Sign(
        "grades_unreadable",
        "wrong",
        lambda unit: unit.brings_scores and unit.has_unreadable_grades,
        "The platform's offer of grades (AGS) cannot be read: no score can be sent.",
    ),
    Sign(
        "grades_off",
        "wrong",
        lambda unit: unit.brings_scores and not unit.may(SCORE) and not unit.has_unreadable_grades,
        "Grades (AGS) are off for this unit: no score can be sent.",
    ),
    Sign(
        "line_item_missing",
        "wrong",
        has_no_line_item,
        "Grades are on, but the unit has no gradebook column, and the tool may not create one.",
    ),
    Sign(
        "line_item_gone",
        "wrong",
        lambda unit: unit.brings_scores and (unit.column_gone or failed("line_items", "line_item_gone")(unit)),
        "The unit's gradebook column was removed on the platform: scores have nowhere to go.",
    ),
    Sign(
        "grades_refused",
        "wrong",
        grades_are_refused,
        "Grades (AGS) are offered to this unit, but the platform refuses the tool's calls to its gradebook.",
    ),
    Sign(
        "line_item_unbound",
        "wrong",
        lambda unit: bool(unit.columns) and all(each.is_bound is False for each in unit.columns),
        "The gradebook column of the launch belongs to another unit: a score there does not show for this unit.",
    ),
    Sign(
        "grade_shared",
        "note",
        lambda unit: unit.holds_another_modules_grade,
        "Several modules share this unit, and its one grade belongs to another of them.",
    ),
    Sign(
        "past_due",
        "note",
        is_due_before_the_end,
        "The unit is due before its live session ends: a platform that accepts no late grades drops the score.",
    ),
    Sign(
        "roster_off",
        "note",
        lambda unit: not unit.has_roster,
        "The roster (NRPS) is off for this unit. If it is off for all units of the course, people are known only after "
        "their first launch.",
    ),
    Sign(
        "roster_too_large",
        "note",
        failed("roster", "above_response_limit"),
        "The course has more members than the platform returns: people are known from their launches only.",
    ),
    Sign(
        "roster_refused",
        "wrong",
        failed("roster", "roster_refused", "scope_refused"),
        "The platform offers a roster, but does not let this tool read it.",
    ),
    Sign(
        "roster_unreadable",
        "note",
        failed("roster", "roster_unreadable", "next_link_foreign"),
        "The platform's roster cannot be read completely: people are known from their launches only.",
    ),
    Sign(
        "email_not_shared",
        "note",
        lambda unit: unit.shares_email is False,
        "No e-mail address comes with launches. Unless the roster has it, Zoom participants are matched by hand.",
    ),
    Sign(
        "name_not_shared",
        "note",
        lambda unit: unit.shares_name is False,
        "No name comes with launches. Unless the roster has it, lists show numbers instead of people.",
    ),
)
