"""What goes wrong at the simulated Zoom, switched over HTTP: `POST /rest/switches` with the fields to change."""

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """The next `times` calls whose path holds `path` (and, if given, for this page of a list) get this answer."""

    path: str = ""
    page: int = 0
    status: int = 500
    code: int = 0
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1

    def fits(self, path: str, page: int) -> bool:
        return self.times > 0 and self.path in path and self.page in (0, page)


@dataclass(frozen=True, slots=True)
class Switches:
    """Everything as it should be, unless told otherwise.

    `announce`: registering sends `registration_created`. `most_rows`: of one page, whatever is asked for.
    `missing_scopes`: what the app lacks. A report is refused (3001) for the first `not_ready` asks, then grows for
    `growing` asks; it lacks the rows of `missing` addresses, has `extra` rows of nobody and `waiting` rows of the
    waiting room, and with `wrong_duration` says minutes where seconds belong. `settings` change those of every
    meeting, `webinars` are the numbers that are webinars.
    """

    announce: bool = True
    most_rows: int = 300
    token_seconds: int = 3600
    missing_scopes: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    not_ready: int = 0
    growing: int = 0
    missing: tuple[str, ...] = ()
    extra: int = 0
    waiting: int = 0
    wrong_duration: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    webinars: tuple[str, ...] = ()


class SwitchError(ValueError):
    """There is no such switch, or it does not take this value."""


class Board:
    """The switches as they stand. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = Switches()

    @property
    def now(self) -> Switches:
        return self._now

    def turn(self, given: object) -> dict[str, Any]:
        """Change the fields that are given; all of them as they stand then. Raises SwitchError."""
        if not isinstance(given, dict):
            raise SwitchError("send an object of switches")
        unknown = set(given) - {each.name for each in fields(Switches)}
        if unknown:
            raise SwitchError(f"there is no switch {', '.join(sorted(unknown))}")
        try:
            changes = {name: _read(name, value) for name, value in given.items()}
        except (TypeError, ValueError) as error:
            raise SwitchError(f"a switch does not take this value: {error}") from error
        with self._lock:
            self._now = replace(self._now, **changes)
        return asdict(self._now)

    def refusal(self, path: str, page: int) -> Refusal | None:
        """The answer that this call gets instead of its own; it has been used up by that much."""
        with self._lock:
            for number, each in enumerate(self._now.refusals):
                if each.fits(path, page):
                    used = (*self._now.refusals[:number], replace(each, times=each.times - 1))
                    self._now = replace(self._now, refusals=(*used, *self._now.refusals[number + 1 :]))
                    return each
        return None


def _read(name: str, value: Any) -> Any:
    usual = getattr(Switches(), name)
    if name == "refusals":
        return tuple(Refusal(**each) for each in value)
    if isinstance(usual, tuple):
        return tuple(str(each) for each in value)
    if isinstance(usual, dict):
        return dict(value)
    return type(usual)(value)
