"""Kinds of values that options take: days and instants as ISO 8601 writes them, documents."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from lti_tool.errors import BadInput
from lti_tool.programme.yaml_source import MAX_BYTES


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
