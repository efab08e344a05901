"""The evidence pack: one page that needs nothing else, for people, and the same as JSON, for machines."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from conformance.results import Result, as_data
from lti_tool.errors import Conflict

PAGE, DATA = "index.html", "evidence.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything one run has shown, of which tool and against which platform; instants are aware UTC.
    `module_completed_here` names the module whose agenda was filled in for the run, None where the programme has one.
    """

    public_url: str
    programme_version: int
    module_completed_here: str | None
    platform: str
    started_at: datetime
    finished_at: datetime
    results: Sequence[Result]

    @property
    def passed(self) -> int:
        return sum(each.passed for each in self.results)

    @property
    def is_green(self) -> bool:
        return self.passed == len(self.results) > 0


def make_folder(folder: Path, *, force: bool) -> None:
    """The folder that the pack is written to, made if it is missing.

    Raises Conflict `folder_not_empty` when something is in it, unless `force` is given; then only the pack's own two
    files are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not force and any(folder.iterdir()):
        raise Conflict(
            "folder_not_empty",
            "There is something in the folder for the evidence pack already.",
            "Name another folder, or use --force to replace an earlier pack in it.",
        )


def write_pack(folder: Path, evidence: Evidence) -> None:
    """Write `index.html` and `evidence.json`. Neither holds a token, a secret or anybody's data."""
    data = as_json(evidence)
    folder.joinpath(DATA).write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    folder.joinpath(PAGE).write_text(as_page(evidence), encoding="utf-8")


def as_json(evidence: Evidence) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "tool": {
            "name": "Gatehouse",
            "version": tool_version(),
            "public_url": evidence.public_url,
            "programme_version": evidence.programme_version,
            "module_completed_for_the_run": evidence.module_completed_here,
        },
        "platform": evidence.platform,
        "started_at": evidence.started_at.isoformat(timespec="milliseconds"),
        "finished_at": evidence.finished_at.isoformat(timespec="milliseconds"),
        "passed": evidence.passed,
        "tests": len(evidence.results),
        "results": [as_data(each) for each in evidence.results],
    }


def tool_version() -> str:
    """The release that runs; a checkout that was never installed has none."""
    try:
        return version("gatehouse-lti")
    except PackageNotFoundError:
        return "of a checkout"


def as_page(evidence: Evidence) -> str:
    environment = Environment(
        loader=PackageLoader("conformance"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"pretty": _pretty, "one_line": _one_line}
    kinds = [(kind, list(results)) for kind, results in groupby(evidence.results, key=lambda each: each.case.kind)]
    page = environment.get_template("pack.html")
    return page.render(evidence=evidence, kinds=kinds, version=tool_version())


def _one_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
