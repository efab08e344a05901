"""What every command shares: the house, the way refusals are told, the way rows are printed.

Kinds of values that options take: days and instants as ISO 8601 writes them, documents.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from lti_tool.context import House, build_house
from lti_tool.errors import BadInput, GatehouseError
from lti_tool.programme.yaml_source import MAX_BYTES
from lti_tool.settings import load_settings

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")

DATABASE_AWAY = GatehouseError(
    "database_away",
    "The database does not answer, or is not at this release's schema.",
    "`gatehouse doctor` looks into it; `gatehouse migrate` brings the schema up to date.",
)


class TellingGroup(click.Group):
    """A command group whose refusals go to stderr as `error: what happened (code)` and the next step; exit 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GatehouseError as error:
            raise Refusal(error) from error
        except (OperationalError, ProgrammingError) as error:
            raise Refusal(DATABASE_AWAY) from error


class Refusal(click.ClickException):
    """An expected refusal as the command line tells it."""

    exit_code = 1

    def __init__(self, error: GatehouseError) -> None:
        super().__init__(f"{error.message} ({error.code})")
        self.next_step = error.next_step

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {self.message}", err=True, file=file)
        if self.next_step:
            click.echo(f"  {self.next_step}", err=True, file=file)


@contextmanager
def open_house() -> Iterator[House]:
    """The house as the environment's settings describe it, without web parts; closed at the end."""
    house = build_house(load_settings())
    try:
        yield house
    finally:
        house.database.close()


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, for whoever watches a terminal; call what it gives with how much more is done."""
    with click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        yield bar.update


def print_rows(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print rows as a JSON list or as a table with the first row's names as its head."""
    if as_json:
        print_json(list(rows))
    elif rows:
        _print_table(rows)
    else:
        click.echo("(none)")


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def print_fields(row: Mapping[str, Any], as_json: bool) -> None:
    """Print one thing: as a JSON object or as one line per field."""
    if as_json:
        print_json(dict(row))
        return
    width = max(map(len, row))
    for name, value in row.items():
        click.echo(f"{name:<{width}}  {_cell(value)}")


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    head = list(rows[0])
    lines = [head, *([_cell(row[name]) for name in head] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


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
    """The bytes of a YAML document, of a huge file just enough to see that it is too large. Raises BadInput
    "file_unreadable"."""
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"The file {file} cannot be read: {error.strerror or type(error).__name__}."
        raise BadInput("file_unreadable", message, "Check its path and rights.") from error
