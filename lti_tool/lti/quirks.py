"""What platforms do differently, as data: one profile for each kind of platform, chosen at registration.

A launch does not tell which platform and version it comes from (Open edX sends neither), so nothing here is guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ProfileName = Literal["openedx", "moodle", "canvas", "generic"]


@dataclass(frozen=True, slots=True)
class Profile:
    """How one kind of platform behaves. The defaults are what the specifications allow us to expect of anybody."""

    name: ProfileName
    sub_is_login_hint: bool = False
    """The launch's `sub` equals the login's `login_hint` (LA-8): a token for somebody else is refused."""
    already_exists_status: int | None = None
    """The status that answers a score with the timestamp of the last one: after a lost answer it means delivered."""
    already_exists_text: str = ""
    """What the body of that answer holds, when the status alone is not enough."""
    older_timestamp_status: int = 409
    """The status that answers a score older than the last one (AG-9)."""
    whole_second_timestamps: bool = False
    """Timestamps are compared in whole seconds: leave at least one between two scores of one person (AG-8)."""


PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        # facts: openedx.md §3, §5, §6. Services answer a bad token with 403, never 401; both are retried everywhere.
        Profile(
            "openedx",
            sub_is_login_hint=True,
            already_exists_status=400,
            already_exists_text="already exists",
            older_timestamp_status=400,
        ),
        # facts: moodle.md §2, §5. An equal timestamp counts as old, so 409 never proves a delivery.
        Profile("moodle", sub_is_login_hint=True, whole_second_timestamps=True),
        Profile("canvas"),
        Profile("generic"),
    )
}
