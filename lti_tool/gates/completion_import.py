"""Bulk import of past completions: a preview, then a commit of the same file (gates.md A10).

An import makes completions and nothing else. A person is never matched by name, a title never by likeness, and an
existing record is never changed. `csv_rows` reads the file.
"""

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Literal, get_args

from sqlalchemy import Connection, and_, select

from lti_tool import audit, people
from lti_tool.csv_rows import Columns, CsvRow, read_rows
from lti_tool.db import chunks
from lti_tool.errors import Conflict
from lti_tool.gates.completions import complete_imported
from lti_tool.programme.model import Programme
from lti_tool.tables.gates import completion_imports, completions
from lti_tool.tables.people import identities, trainees
from lti_tool.text import clean, email_address
from lti_tool.times import day_of

DESCRIBING = ("title_as_taken", "catalogue", "date_precision", "origin", "evidence_ref", "note")
COLUMNS = Columns(
    ("person_key_type", "person_key", "family_name", "given_name", "title_as_taken", "catalogue", "module",
     "completed_on", "date_precision", "origin", "evidence_ref", "note"),
    needed=("person_key_type", "person_key", "completed_on"),
    needed_one_of=("title_as_taken", "module"),
    verbatim=("person_key",),
)  # fmt: skip
MAX_BYTES = COLUMNS.max_bytes
# Parameters of one statement; both databases allow several times as many.
KEYS_PER_QUERY = 5000
KEY_TYPES = ("email", "platform_user", "external_id")
# How a date of this precision is written, and what completes it: a month or a year counts from its first day.
PRECISIONS = {"day": ("2024-07-13", ""), "month": ("2024-07", "-01"), "year": ("2024", "-01-01")}
DATE = re.compile(r"[0-9]{4}(-[0-9]{2}){0,2}")

Outcome = Literal[
    "new", "same", "conflict", "unknown_module", "ambiguous_module", "unknown_person", "ambiguous_person", "invalid"
]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class Unfit(Exception):
    """Why a row cannot become a completion."""

    def __init__(self, outcome: Outcome, column: str, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.column = column
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """The one outcome of one row. `column` and `detail` say where and why; neither quotes the file."""

    line: int
    outcome: Outcome
    column: str = ""
    detail: str = ""
    trainee_id: int | None = None
    module: str | None = None
    completed_on: date | None = None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """All rows of a file in order. `counts` has every outcome; `digest` identifies the file."""

    digest: str
    committed: bool
    rows: tuple[ImportedRow, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        found = Counter(row.outcome for row in self.rows)
        return {outcome: found[outcome] for outcome in OUTCOMES}

    @property
    def judged(self) -> str:
        """SHA-256 of the file and of what becomes of every row: of which person, module and day."""
        rows = [
            (row.line, row.outcome, row.trainee_id, row.module, row.completed_on and row.completed_on.isoformat())
            for row in self.rows
        ]
        return sha256(json.dumps([self.digest, rows]).encode()).hexdigest()


def import_csv(
    connection: Connection,
    programme: Programme,
    content: bytes,
    *,
    commit: str | None = None,
    columns: Columns = COLUMNS,
    import_id: int | None = None,
    actor: str,
    now: datetime,
) -> ImportReport:
    """Preview a file of past completions, or with `commit` (the digest of the preview) record them in one transaction.

    Raises BadInput "import_unreadable", "import_columns_wrong", "import_too_large"; Conflict "import_file_differs" if
    the file is not the one that was previewed. Importing the same file again changes nothing. `columns` says how large
    the file may be, and `import_id` which upload it was. A row about the actor is refused.
    """
    digest = digest_of(content)
    if commit is not None and commit != digest:
        message = "This is not the file that was previewed."
        raise Conflict("import_file_differs", message, "Preview this file first, then commit it with its own digest.")
    lines = read_rows(content, columns)
    importing = _Import(programme, _load_known(connection, lines, actor), day_of(now, programme.zone))
    rows = tuple(importing.judge(line) for line in lines)
    if commit is None:
        return ImportReport(digest, False, rows)
    report = ImportReport(digest, True, _write(connection, rows, lines, digest, import_id, actor, now))
    counts: dict[str, Any] = dict(report.counts)
    audit.record(connection, actor=actor, act="completions_imported", subject=f"import:{digest[:12]}", at=now, **counts)
    return report


def digest_of(content: bytes) -> str:
    """SHA-256 of the file. A commit proves by it that this is the file that was previewed."""
    return sha256(content).hexdigest()


def completion_day(line: CsvRow, today: date) -> date:
    """The day of completion. Raises Unfit."""
    precision, written = line["date_precision"].lower() or "day", line["completed_on"]
    if precision not in PRECISIONS:
        raise Unfit("invalid", "date_precision", "A completion needs at least the year in which it was taken.")
    like, rest = PRECISIONS[precision]
    found = DATE.fullmatch(written)
    if found is None:
        raise Unfit("invalid", "completed_on", f"This is not a date like {like}.")
    if len(written) != len(like):
        message = f"date_precision is {precision}, but completed_on is not written like {like}."
        raise Unfit("conflict", "completed_on", message)
    try:
        day = date.fromisoformat(written + rest)
    except ValueError as error:
        raise Unfit("invalid", "completed_on", f"This is not a date like {like}.") from error
    if day > today:
        raise Unfit("invalid", "completed_on", "The date is in the future.")
    return day


class Titles:
    """The modules of a programme and of its earlier catalogue, by id and by every title they have had."""

    def __init__(self, programme: Programme) -> None:
        self._ids: dict[str, set[str]] = {"current": set(programme.modules), "legacy": set()}
        self._titles: dict[str, defaultdict[str, set[str]]] = {"current": defaultdict(set), "legacy": defaultdict(set)}
        for module in programme.modules.values():
            self._add("current", module.id, module.title, module.label, *module.also_called, module.certificate_title)
        for earlier in programme.earlier_modules:
            if earlier.now not in programme.retreats:
                self._ids["legacy"].add(earlier.earlier)
                self._add("legacy", earlier.earlier, earlier.earlier_title)

    def _add(self, catalogue: str, module: str, *titles: str | None) -> None:
        for title in filter(None, (module, *titles)):
            self._titles[catalogue][normal(title)].add(module)

    def module_of(self, line: CsvRow) -> str:
        """The module of a row: its id if one is written, and the title must not contradict it. Nothing is guessed.

        Raises Unfit "unknown_module", "ambiguous_module" or "invalid".
        """
        catalogue = line["catalogue"] or "current"
        if catalogue not in self._ids:
            raise Unfit("invalid", "catalogue", "A catalogue is current or legacy.")
        titled = self._titles[catalogue].get(normal(line["title_as_taken"]), set())
        written = line["module"]
        if written and written not in self._ids[catalogue]:
            raise Unfit("unknown_module", "module", "This catalogue has no module with this id.")
        if written and titled and written not in titled:
            raise Unfit("ambiguous_module", "module", "The id and the title belong to different modules.")
        if not written and not titled:
            raise Unfit("unknown_module", "title_as_taken", "This catalogue has no module with this title.")
        if not written and len(titled) > 1:
            raise Unfit("ambiguous_module", "title_as_taken", "Several modules have this title. Write the id.")
        return written or next(iter(titled))


def normal(text: str) -> str:
    """A title as it is compared: one Unicode form, trimmed, single spaces; nothing fuzzier (gates.md A10.4)."""
    return clean(unicodedata.normalize("NFKC", text))


def inert(text: str) -> str:
    """The text in a form that no spreadsheet takes for a formula, for everything from such a file that is kept or
    shown."""
    plain = clean(text)
    return f"'{plain}" if plain.startswith(("=", "+", "-", "@")) else plain


@dataclass(frozen=True, slots=True)
class _Known:
    """The people that the rows name, by kind and key; those of them who may be the actor; and by trainee and module the
    dates of their completions and whether each was ended, the one in force first."""

    people: Mapping[tuple[str, str], Sequence[int]]
    own: Set[int]
    recorded: Mapping[tuple[int, str], Sequence[tuple[date, bool]]]


# Every completion but those that ended because the import which recorded them was undone.
_undone = and_(
    completion_imports.c.id == completions.c.import_id, completion_imports.c.undone_at == completions.c.ended_at
)
_counted = (
    select(*(completions.c[name] for name in ("trainee_id", "module_id", "completed_on", "ended_at")))
    .outerjoin(completion_imports, _undone)
    .where(completion_imports.c.id.is_(None))
)


def _load_known(connection: Connection, lines: Sequence[CsvRow], actor: str) -> _Known:
    """What the rows are compared with: a few statements, however many rows there are."""
    found: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    keys = {_key_of(line) for line in lines}
    for some in chunks(sorted(key for kind, key in keys if kind == "email" and key), KEYS_PER_QUERY):
        for row in connection.execute(select(trainees.c.email, trainees.c.id).where(trainees.c.email.in_(some))):
            found["email", row.email].append(row.id)
    for some in chunks(sorted(key for kind, key in keys if kind == "platform_user"), KEYS_PER_QUERY):
        users = select(identities.c.sub, identities.c.trainee_id).where(identities.c.sub.in_(some)).distinct()
        for row in connection.execute(users):
            found["platform_user", row.sub].append(row.trainee_id)
    everyone = sorted({each for some in found.values() for each in some})
    recorded: defaultdict[tuple[int, str], list[tuple[date, bool]]] = defaultdict(list)
    for ids in chunks(everyone, KEYS_PER_QUERY):
        for row in connection.execute(_counted.where(completions.c.trainee_id.in_(ids))):
            recorded[row.trainee_id, row.module_id].append((row.completed_on, row.ended_at is not None))
    in_force_first = {key: sorted(some, key=lambda each: each[1]) for key, some in recorded.items()}
    return _Known(found, people.own_cases(connection, actor, everyone), in_force_first)


def _key_of(line: CsvRow) -> tuple[str, str]:
    """The kind of a row's key and the key as it is compared; "" for what is no key of this kind."""
    kind, key = line["person_key_type"].lower(), line["person_key"]
    return kind, (email_address(key) or "") if kind == "email" else key


class _Import:
    """One pass over a file: what is known, and the completions that earlier rows would make."""

    def __init__(self, programme: Programme, known: _Known, today: date) -> None:
        self._titles = Titles(programme)
        self._known = known
        self._today = today
        self._planned: dict[tuple[int, str], date] = {}

    def judge(self, line: CsvRow) -> ImportedRow:
        try:
            if line.problem is not None:
                raise Unfit("invalid", *line.problem)
            completed_on = completion_day(line, self._today)
            module = self._titles.module_of(line)
            trainee_id = self.trainee_of(line)
        except Unfit as unfit:
            return ImportedRow(line.line, unfit.outcome, unfit.column, unfit.detail)
        outcome, detail = self.compare(trainee_id, module, completed_on)
        column = "completed_on" if outcome == "conflict" else ""
        return ImportedRow(line.line, outcome, column, detail, trainee_id, module, completed_on)

    def trainee_of(self, line: CsvRow) -> int:
        """The trainee with this key. Keys of other systems are known only as a platform's user id. Raises Unfit."""
        kind, key = _key_of(line)
        if kind not in KEY_TYPES:
            raise Unfit("invalid", "person_key_type", f"This is none of {', '.join(KEY_TYPES)}.")
        if not key:
            raise Unfit("invalid", "person_key", "This is not one key of one person.")
        found = self._known.people.get((kind, key), ())
        if not found:
            raise Unfit(
                "unknown_person",
                "person_key",
                "No trainee with this key has launched yet. Import the row again afterwards.",
            )
        if not self._known.own.isdisjoint(found):
            raise Unfit("invalid", "person_key", "This row is about you. Another member of staff imports it.")
        if len(found) > 1:
            raise Unfit("ambiguous_person", "person_key", "Several people have this key.")
        return found[0]

    def compare(self, trainee_id: int, module: str, completed_on: date) -> tuple[Outcome, str]:
        """What this completion is beside earlier rows of the file and the records."""
        planned = self._planned.get((trainee_id, module))
        if planned is not None:
            return _compared(planned, completed_on, "an earlier row of this file")
        for recorded_on, is_ended in self._known.recorded.get((trainee_id, module), ()):
            if not is_ended:
                return _compared(recorded_on, completed_on, "the record")
            if recorded_on == completed_on:
                return "conflict", "Staff ended this completion."
        self._planned[trainee_id, module] = completed_on
        return "new", ""


def _compared(existing: date, completed_on: date, what: str) -> tuple[Outcome, str]:
    return ("same", "") if existing == completed_on else ("conflict", f"The date differs from {what}.")


def _recorded(connection: Connection, trainee_id: int, module: str) -> list[tuple[date, bool]]:
    """The dates of this trainee's completions of the module and whether each was ended; the one in force first."""
    theirs = (completions.c.trainee_id == trainee_id) & (completions.c.module_id == module)
    rows = connection.execute(select(completions.c.completed_on, completions.c.ended_at).where(theirs))
    return sorted(((day, ended_at is not None) for day, ended_at in rows), key=lambda each: each[1])


def _write(
    connection: Connection,
    rows: Sequence[ImportedRow],
    lines: Sequence[CsvRow],
    digest: str,
    import_id: int | None,
    actor: str,
    now: datetime,
) -> tuple[ImportedRow, ...]:
    """Record the new completions, each with its source: the file, the line, and how the row describes it."""
    new = [
        {
            "trainee_id": row.trainee_id,
            "module_id": row.module,
            "completed_on": row.completed_on,
            "evidence": _evidence(digest, line),
        }
        for row, line in zip(rows, lines, strict=True)
        if row.outcome == "new"
    ]
    made = complete_imported(connection, new, import_id=import_id, actor=actor, now=now)
    return tuple(_written(connection, row, made) for row in rows)


def _evidence(digest: str, line: CsvRow) -> str:
    described = [f"{name}: {inert(line[name])}" for name in DESCRIBING if line[name]]
    return "; ".join([f"import {digest[:12]} line {line.line}", *described])


def _written(connection: Connection, row: ImportedRow, made: Mapping[tuple[int, str], int]) -> ImportedRow:
    if row.outcome != "new" or row.trainee_id is None or row.module is None or row.completed_on is None:
        return row
    if (row.trainee_id, row.module) in made:
        return row
    # Another transaction recorded it since this one compared: compare again.
    recorded_on, _is_ended = _recorded(connection, row.trainee_id, row.module)[0]
    outcome, detail = _compared(recorded_on, row.completed_on, "the record")
    return replace(row, outcome=outcome, column="completed_on" if detail else "", detail=detail)
