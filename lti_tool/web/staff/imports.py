"""Past completions from a file: uploaded, previewed row by row, imported as previewed, and undone by two people.

The address holds the number of the upload, never anything from the file.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, redirect
from flask import request as http_request
from sqlalchemy import Row
from werkzeug.wrappers import Response

from lti_tool.csv_rows import CsvRow
from lti_tool.errors import BadInput, Conflict
from lti_tool.gates import completion_batches
from lti_tool.gates.completion_import import COLUMNS, ImportedRow, Outcome
from lti_tool.programme import versions
from lti_tool.rights import DECIDE_ACCESS
from lti_tool.web.forms import Problems, field
from lti_tool.web.page import asked_part, go, part, show, sql_part
from lti_tool.web.request import connection, now
from lti_tool.web.session import Limits, access, viewer
from lti_tool.web.staff import overview

Page = str | Response | tuple[str, int]
HERE = "/desk/people/imports"
ROWS_ON_A_PAGE = 50
LATEST = 20
# The file, and what a browser writes around it.
FILE = Limits(max_bytes=completion_batches.UPLOADED.max_bytes + 10_000)
# What becomes of a row, in the order of the filters; by its word in the address.
FATES = {"new": "Will be recorded", "same": "Recorded already", "held": "Held", "refused": "Refused"}
FATE_OF: Mapping[Outcome, str] = {"new": "new", "same": "same", "unknown_person": "held"}

blueprint = Blueprint("desk_imports", __name__, url_prefix=HERE)


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One row of the file: what becomes of it, the person's name, or else what the file says of the person."""

    row: ImportedRow
    fate: str
    name: str
    written: CsvRow


@blueprint.get("")
@access(DECIDE_ACCESS)
def imports() -> Page:
    """The form for a file, and the latest imports."""
    return _imports_page("")


def _imports_page(problem: str) -> str:
    latest = completion_batches.latest(connection(), LATEST)
    return show(
        "staff/imports.html",
        versions.current(connection()).programme,
        latest=latest,
        fate_of=fate_of,
        acting=overview.acting(connection(), {each.imported_by for each in latest}),
        columns=COLUMNS,
        limits=completion_batches.UPLOADED,
        problems={"file": [problem]} if problem else {},
    )


@blueprint.post("")
@access(DECIDE_ACCESS, FILE)
def upload() -> Page:
    """Take a file and show its preview. Nothing of it counts before it is confirmed."""
    file = http_request.files.get("file")
    try:
        if file is None or not file.filename:
            raise BadInput("import_unreadable", "Choose a CSV file.")
        made = completion_batches.upload(connection(), file.stream.read(), actor=viewer().actor, now=now())
    except BadInput as refusal:
        return _imports_page(f"{refusal.message} {refusal.next_step}".strip()), refusal.status
    return redirect(f"{HERE}/{made}", 303)


@blueprint.get("/<int:import_id>")
@access(DECIDE_ACCESS)
def one(import_id: int) -> Page:
    """The preview of an upload; after the import its result."""
    found = completion_batches.show(connection(), import_id, now())
    return _result(found) if found.imported_at else _preview(found, {})


def _preview(found: Row[Any], problems: Problems) -> str:
    programme = versions.current(connection()).programme
    seen = completion_batches.preview(connection(), programme, found, actor=viewer().actor, now=now())
    counts = Counter(fate_of(each.outcome) for each in seen.report.rows)
    asked = http_request.args.get("show", "")
    which = asked if asked in counts else ""
    chosen = [
        (row, written)
        for row, written in zip(seen.report.rows, seen.lines, strict=True)
        if not which or fate_of(row.outcome) == which
    ]
    shown = part(chosen, ROWS_ON_A_PAGE, asked_part())
    names = overview.names(connection(), {row.trainee_id for row, _ in shown.rows if row.trainee_id})
    return show(
        "staff/import_preview.html",
        programme,
        upload=found,
        judged=seen.report.judged,
        problems=problems,
        rows=[
            ShownRow(row, fate_of(row.outcome), names.get(row.trainee_id or 0, ""), line) for row, line in shown.rows
        ],
        part=shown,
        which=which,
        total=len(seen.lines),
        counts=counts,
        fates=FATES,
    )


def _result(found: Row[Any]) -> str:
    published = versions.current(connection())
    recorded = sql_part(connection(), completion_batches.recorded(found), ROWS_ON_A_PAGE, asked_part())
    ids = {each.trainee_id for each in recorded.rows}
    shut = completion_batches.shut_by_undoing(connection(), published, found, ids, now()) if not found.undone_at else {}
    return show(
        "staff/import_result.html",
        published.programme,
        made=found,
        counts=_by_fate(found.counts),
        fates=FATES,
        part=recorded,
        shut=shut,
        ends=len(completion_batches.in_force(connection(), found)),
        acting=overview.acting(connection(), (found.imported_by, found.undo_by, found.undone_by)),
        me=viewer(),
    )


@blueprint.post("/<int:import_id>/confirm")
@access(DECIDE_ACCESS)
def confirm(import_id: int) -> Page:
    """Import the file exactly as it was previewed; the new preview if anything has changed since."""
    programme, actor = versions.current(connection()).programme, viewer().actor
    try:
        with connection().begin_nested():
            completion_batches.confirm(connection(), programme, import_id, seen=field("judged"), actor=actor, now=now())
    except Conflict as refusal:
        if refusal.code != "import_preview_differs":
            raise
        found = completion_batches.show(connection(), import_id, now())
        return _preview(found, {"rows": [f"{refusal.message} {refusal.next_step}"]}), refusal.status
    return go(f"{HERE}/{import_id}", "completions_imported")


@blueprint.post("/<int:import_id>/undo")
@access(DECIDE_ACCESS)
def propose_undo(import_id: int) -> Response:
    """Propose to undo an import; a second person confirms it."""
    completion_batches.propose_undo(connection(), import_id, reason=field("reason"), actor=viewer().actor, now=now())
    return go(f"{HERE}/{import_id}", "undo_proposed")


@blueprint.post("/<int:import_id>/undo/confirm")
@access(DECIDE_ACCESS)
def confirm_undo(import_id: int) -> Response:
    """Undo an import, as the second person."""
    completion_batches.confirm_undo(connection(), import_id, actor=viewer().actor, now=now())
    return go(f"{HERE}/{import_id}", "import_undone")


@blueprint.post("/<int:import_id>/undo/drop")
@access(DECIDE_ACCESS)
def drop_undo(import_id: int) -> Response:
    """Keep an import whose undoing is proposed."""
    completion_batches.drop_undo(connection(), import_id, actor=viewer().actor, now=now())
    return go(f"{HERE}/{import_id}", "undo_dropped")


def fate_of(outcome: Outcome) -> str:
    """What becomes of a row with this outcome."""
    return FATE_OF.get(outcome, "refused")


def _by_fate(counts: Mapping[Outcome, int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for outcome, count in counts.items():
        found[fate_of(outcome)] += count
    return found
