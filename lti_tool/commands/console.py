"""What every command shares: opening the context, printing rows and refusals, and the kinds of values of options."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from operator import getitem
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from lti_tool.context import AppContext, build_context
from lti_tool.errors import BadInput, GatehouseError
from lti_tool.programme.yaml_source import MAX_BYTES
from lti_tool.settings import Settings, load_settings

trainee_option = click.option("--trainee", required=True, help="The trainee's id or e-mail address.")
session_argument = click.argument("session_id", metavar="SESSION_ID", type=int)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")

DATABASE_AWAY = GatehouseError(
    "database_away",
    "The database does not answer, or is not at this release's schema.",
    "`gatehouse doctor` says which; `gatehouse migrate` brings the schema up to date.",
)


class RefusingGroup(click.Group):
    """A command group that prints refusals to stderr as `error: what happened (code)` and the next step; exit 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GatehouseError as error:
            raise Refusal(error) from error
        except (OperationalError, ProgrammingError) as error:
            raise Refusal(DATABASE_AWAY) from error


class Refusal(click.ClickException):
    """An expected refusal, as the command line prints it."""

    exit_code = 1

    def __init__(self, error: GatehouseError) -> None:
        super().__init__(f"{error.message} ({error.code})")
        self.next_step = error.next_step

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {self.message}", err=True, file=file)
        if self.next_step:
            click.echo(f"  {self.next_step}", err=True, file=file)


@contextmanager
def open_context(settings: Settings | None = None) -> Iterator[AppContext]:
    """The context of these settings, or of the environment's, without web parts; closed at the end."""
    context = build_context(settings or load_settings())
    try:
        yield context
    finally:
        context.database.close()


TIMES_DRAWN = 200


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr if it is a terminal; call what it yields with how much more is done. It is drawn anew at most a
    few hundred times, however many steps there are."""
    steps, is_hidden = max(1, length // TIMES_DRAWN), not sys.stderr.isatty()
    with click.progressbar(
        length=length, label=label, file=sys.stderr, hidden=is_hidden, update_min_steps=steps
    ) as bar:
        yield bar.update


# The columns of a table: names of values of the row, or by the column's name a value or a function of the row.
Columns = Sequence[str] | Mapping[str, str | Callable[[Any], Any]]


def listed(row: Any, columns: Columns) -> dict[str, Any]:
    """One row as a mapping from its columns to its values."""
    named = columns if isinstance(columns, Mapping) else dict(zip(columns, columns, strict=True))
    get = getitem if isinstance(row, Mapping) else getattr
    return {name: get(row, each) if isinstance(each, str) else each(row) for name, each in named.items()}


def print_rows(rows: Iterable[Any], as_json: bool, columns: Columns | None = None) -> None:
    """Print rows as a JSON list, or as a table with the column names as its head. Rows are mappings, or anything with
    `columns`."""
    found = [row if columns is None else listed(row, columns) for row in rows]
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("(none)")
        return
    lines = [list(found[0]), *([_cell(row[name]) for name in found[0]] for row in found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_fields(row: Any, as_json: bool, columns: Columns | None = None) -> None:
    """Print one thing as a JSON object, or as one line per field."""
    fields = dict(row) if columns is None else listed(row, columns)
    if as_json:
        print_json(fields)
        return
    width = max(map(len, fields))
    for name, value in fields.items():
        click.echo(f"{name:<{width}}  {_cell(value)}")


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    return value if isinstance(value, str) else str(_plain(value) if isinstance(value, datetime) else value)


def _plain(value: Any) -> Any:
    """Instants as ISO 8601 in UTC with Z, days as ISO dates, decimals as exact text."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")


class Day(click.ParamType[date]):
    """A day such as 2026-12-01."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a day such as 2026-12-01.", param, ctx)


class Instant(click.ParamType[datetime]):
    """A moment with its offset, such as 2026-12-01T09:00:00-08:00 or 2026-12-01T17:00:00Z; aware UTC."""

    name = "INSTANT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
            if at.tzinfo is None:
                raise ValueError("no offset")
            return at.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a moment with an offset such as 2026-12-01T17:00:00Z.", param, ctx)


DAY = Day()
INSTANT = Instant()


def read_document(file: Path) -> bytes:
    """The bytes of a YAML document; of a huge file just enough to see that it is too large.

    Raises BadInput `file_unreadable`.
    """
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"The file {file} cannot be read: {error.strerror or type(error).__name__}."
        raise BadInput("file_unreadable", message, "Check its path and rights.") from error
