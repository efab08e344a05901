"""A module in which somebody can get a score: the programme's own, or one that is completed for the run.

A programme may still leave open how its days are laid out, or how much attendance completes a module. Then nobody can
get a score yet, and the tool would have nothing to post. On the scratch database, and there alone, a further version is
published in which one module has a day's agenda; the evidence says so.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from conformance.tool import Tool
from lti_tool.gates.publication import publish
from lti_tool.programme.model import Programme
from lti_tool.programme.yaml_source import load_yaml
from lti_tool.tables.programme import programme_versions

AGENDA = "certification"
PARTS = [
    {"from": "09:00", "to": "12:00", "title": "Morning", "instructional": True},
    {"from": "12:00", "to": "13:00", "title": "Lunch", "instructional": False},
    {"from": "13:00", "to": "16:00", "title": "Afternoon", "instructional": True},
]
SHARE = 0.8


@dataclass(frozen=True, slots=True)
class ScoredModule:
    """The module that the test of scores launches; `is_completed_here`: its agenda or the share was filled in."""

    id: str
    is_completed_here: bool


def scored_module(tool: Tool) -> ScoredModule:
    """The first published module with an agenda; where there is none, or no share that completes it, the first one is
    made so. A programme that publishes no module is left as it is, and fails the test."""
    programme = tool.published.programme
    offered = [id for id in programme.modules if programme.is_published(id)]
    module_id = _with_agenda(programme, offered)
    if not offered or (module_id is not None and programme.completion is not None):
        return ScoredModule(module_id or next(iter(programme.modules)), is_completed_here=False)
    chosen = module_id or offered[0]
    _publish_completed(tool, chosen)
    return ScoredModule(chosen, is_completed_here=True)


def _with_agenda(programme: Programme, offered: Iterable[str]) -> str | None:
    laid_out = {name for name, agenda in programme.agendas.items() if agenda.parts}
    return next((id for id in offered if programme.modules[id].agenda in laid_out), None)


def _publish_completed(tool: Tool, module_id: str) -> None:
    """Checked as of the day on which the version in force was published: windows that have passed since are no
    matter."""
    newest = select(programme_versions).order_by(programme_versions.c.version.desc()).limit(1)
    with tool.context.database.write() as connection:
        row = connection.execute(newest).one()
        document = completed(row.document, module_id)
        publish(connection, document, row.source_name, actor="certify", now=row.published_at)


def completed(document: str, module_id: str) -> str:
    """The programme document with an agenda for this module, and with a share that completes it; the module earns no
    credit there, which an agenda would have to suffice for. JSON, which YAML includes."""
    programme: dict[str, Any] = load_yaml(document).value
    programme["agendas"] = {**(programme.get("agendas") or {}), AGENDA: {"parts": PARTS}}
    programme["modules"][module_id] |= {"agenda": AGENDA, "credits": {}}
    programme["completion"] = {**(programme.get("completion") or {}), "share": SHARE}
    return json.dumps(programme, indent=1, ensure_ascii=False, default=float)
