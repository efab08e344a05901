"""What is wrong, or doubtful, in a programme document."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. An `error` keeps the document from being published, a `warning` does not.

    `code` is stable (snake_case), `message` a sentence for the person who edits the document, `path` the place in its
    own words (`gates.foundational.rule.any[1]`); `file` and `line` (from 1; 0 when unknown) say where that is written.
    """

    severity: Literal["error", "warning"]
    code: str
    message: str
    path: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.severity}: {self.message} [{self.code}] at {self.path or 'the document'}"
