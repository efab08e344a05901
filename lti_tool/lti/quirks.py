"""What platforms do differently, as data: one profile for each kind of platform, chosen at registration.

A launch does not tell which platform and version it comes from (Open edX sends neither), so nothing here is guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ProfileName = Literal["openedx", "moodle", "canvas", "generic"]


@dataclass(frozen=True, slots=True)
class Profile:
    """How one kind of platform behaves. The defaults are what the specifications allow us to expect of any platform."""

    name: ProfileName
    sub_is_login_hint: bool = False
    """The launch's `sub` equals the login's `login_hint` (LA-8): a token for another person is refused."""
    already_exists_status: int | None = None
    """The status that answers a score with the timestamp of the last one: after a lost answer it means delivered."""
    already_exists_text: str = ""
    """What the body of that answer holds, when the status alone is not enough."""
    older_timestamp_status: int = 409
    """The status that answers a score older than the last one (AG-9)."""
    whole_second_timestamps: bool = False
    """Timestamps are compared in whole seconds: leave at least one between two scores of one person (AG-8)."""
    refusal_needs_a_look: bool = True
    """An older-timestamp answer does not tell a score that arrived from a later edit by a teacher: results decide."""
    not_a_participant_status: int | None = None
    """The status that also answers a score for a person who takes no grades there: sending again does not help."""
    results_by: Literal["path", "query"] = "query"
    """How results are asked for one person: by `/results/<user>` or by `?user_id=` (the other one is ignored)."""
    results_show_gradebook: bool = True
    """Results are read from the gradebook that people see; else from a table that only repeats what was sent."""
    grade_needs_bound_line_item: bool = False
    """Only a line item whose resourceLinkId is the unit's own reaches the gradebook; others are taken, and nothing
    appears (openedx.md §5)."""
    whole_number_maximum: bool = False
    """The maximum of a line item must be a whole number (openedx.md §5)."""
    one_grade_per_link: bool = False
    """A unit has one cell in the gradebook, which every line item bound to it writes: so one line item a unit."""
    clears_unless_fully_graded: bool = False
    """A gradingProgress other than FullyGraded blanks the grade that was there, instead of being ignored."""
    deep_link_answer_replaces: bool = False
    """Each answer to a deep linking request replaces everything picked before; an empty one erases it."""
    deep_link_needs_lms_login: bool = False
    """Teachers start from another site (Studio) than the one that takes the answer (the LMS) and must be signed in to
    both; else the platform answers 403."""
    deep_link_saved_in_form: bool = False
    """What was picked only fills a form of the platform: it counts when the teacher has saved that form."""


PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        # facts: openedx.md §3, §5, §6, §8. Services answer a bad token with 403, never 401; both are retried
        # everywhere. Its results come from the consumer's own table, so they show no change that a teacher makes.
        Profile(
            "openedx",
            sub_is_login_hint=True,
            already_exists_status=400,
            already_exists_text="already exists",
            older_timestamp_status=400,
            refusal_needs_a_look=False,
            results_by="path",
            results_show_gradebook=False,
            grade_needs_bound_line_item=True,
            whole_number_maximum=True,
            one_grade_per_link=True,
            deep_link_answer_replaces=True,
            deep_link_needs_lms_login=True,
        ),
        # facts: moodle.md §2, §5, §7. An equal timestamp counts as old, so 409 alone never proves a delivery.
        Profile(
            "moodle",
            sub_is_login_hint=True,
            whole_second_timestamps=True,
            not_a_participant_status=400,
            clears_unless_fully_graded=True,
            deep_link_saved_in_form=True,
        ),
        # Canvas and platforms unknown to us: that results show the gradebook is the specification's word (AGS 2.0,
        # result service), not something seen.
        Profile("canvas"),
        Profile("generic"),
    )
}


def names_where(fact: str) -> list[str]:
    """The names of the profiles for which a yes-or-no fact holds, for a condition in SQL."""
    return [name for name, profile in PROFILES.items() if getattr(profile, fact)]
