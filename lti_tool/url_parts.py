"""What may stand in an address of ours: ids that a database takes, and texts without control characters.

Any other address leads to no page (404), before a view or the database sees it.
"""

import re

from flask import Flask
from werkzeug.routing import IntegerConverter, Map, UnicodeConverter

# 18 digits are below the largest id of either database.
ID = re.compile(r"[0-9]{1,18}")


class _Id(IntegerConverter):
    regex = ID.pattern


class _Text(UnicodeConverter):
    def __init__(self, map: Map) -> None:
        super().__init__(map)
        self.regex = r"[^/\x00-\x1f\x7f]+"


def register(app: Flask) -> None:
    """Read `<int:…>` and `<…>` in every address of the app this way; before the first address is added."""
    app.url_map.converters.update(int=_Id, default=_Text, string=_Text)


def read_id(text: str) -> int:
    """The id in a query parameter. Raises ValueError for anything else."""
    if not ID.fullmatch(text):
        raise ValueError("no id")
    return int(text)
