"""How thorough a run is. `quick` is for people who wait for it, `full` for what guards the main line (`--profile`).

`mutants` is for mutation testing: a few examples, always the same, and the first that fails ends the test.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from hypothesis import HealthCheck, Phase, settings


@dataclass(frozen=True)
class Profile:
    """How many examples a property is tried with, how long the launch endpoints are attacked, and how often the tool is
    killed under load."""

    one_in: int
    fuzz_seconds: float
    kills: int


PROFILES = {
    "quick": Profile(one_in=5, fuzz_seconds=6, kills=3),
    "full": Profile(one_in=1, fuzz_seconds=60, kills=15),
    "mutants": Profile(one_in=20, fuzz_seconds=6, kills=3),
}

# How long an example takes says nothing on a machine whose pace changes.
for _name, _profile in PROFILES.items():
    _examples = settings.get_profile("default").max_examples // _profile.one_in
    settings.register_profile(
        _name, max_examples=_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
settings.register_profile(
    "mutants",
    settings.get_profile("mutants"),
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
)


def present_profile() -> Profile:
    return PROFILES[settings.get_current_profile_name()]


def portion(number: int) -> int:
    """So many of a full run's examples belong to this run."""
    return max(1, number // present_profile().one_in)


Case = TypeVar("Case")


def some_of(cases: Mapping[str, Case], number: int = 1) -> dict[str, Case]:
    """All cases of a full run; of a quick one the first so many."""
    return dict(islice(cases.items(), number if present_profile().one_in > 1 else len(cases)))
