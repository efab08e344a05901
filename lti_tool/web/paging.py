"""One part of a long list: which rows it holds, how many parts there are, and how many rows are left."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from flask import request as http_request

from lti_tool.web.request import read_id

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """Part `number` (from 1) of a list of `total` rows; `firsts` holds the first row of every part."""

    rows: Sequence[T]
    number: int
    total: int
    firsts: Sequence[T]

    @property
    def count(self) -> int:
        """The number of parts, at least 1."""
        return max(len(self.firsts), 1)

    @property
    def left_out(self) -> int:
        """The number of rows on other parts."""
        return self.total - len(self.rows)


def part(rows: Sequence[T], size: int, number: int = 1) -> Part[T]:
    """Part `number` of these rows, `size` at a time; the last part if there are fewer."""
    firsts = rows[::size]
    number = min(max(number, 1), max(len(firsts), 1))
    return Part(rows[(number - 1) * size : number * size], number, len(rows), firsts)


def asked_part() -> int:
    """The part that `?page=` asks for; 1 if it is missing or not a number."""
    try:
        return max(read_id(http_request.args.get("page", "")), 1)
    except ValueError:
        return 1
