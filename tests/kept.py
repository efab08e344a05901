"""What a worker makes once for all of its tests, because to make it anew for each costs more than the test itself."""

from itertools import count
from threading import Lock
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import Connection, Table, func, insert, null, select
from werkzeug.routing import Rule

from lti_tool.tables import metadata

KEYS = 16
Rows = dict[Table, list[dict[str, Any]]]


class KeptTemplates(BytecodeCache):
    """Templates as they were compiled for an earlier application."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


class KeptRule(Rule):
    """A rule of a URL as it was compiled for an earlier application: four fifths of what an application costs."""

    COMPILED = ("arguments", "_trace", "_parts", "_converters", "_build", "_build_unknown")
    _kept: ClassVar[dict[Any, dict[str, Any]]] = {}

    def compile(self) -> None:
        assert self.map is not None
        defaults = tuple((self.defaults or {}).items())
        key = self.rule, self.subdomain, self.host, self.merge_slashes, defaults, tuple(self.map.converters.values())
        if key not in self._kept:
            super().compile()
            self._kept[key] = {name: getattr(self, name) for name in self.COMPILED}
        self.__dict__.update(self._kept[key])


class KeptKeys:
    """RSA keys in turn, so that no test meets one twice."""

    def __init__(self) -> None:
        self._keys: list[RSAPrivateKey] = []
        self._numbers, self._turn = count(), Lock()

    def __call__(self, *, public_exponent: int, key_size: int) -> RSAPrivateKey:
        assert (public_exponent, key_size) == (65537, 2048)
        with self._turn:
            number = next(self._numbers) % KEYS
            if number == len(self._keys):
                self._keys.append(generate_private_key(public_exponent=public_exponent, key_size=key_size))
            return self._keys[number]


class KeptRows:
    """What something wrote into a database, to be put into another one that holds what that one held before."""

    def __init__(self, before: Rows, after: Rows) -> None:
        self._rows = {table: [row for row in rows if row not in before[table]] for table, rows in after.items()}

    def put(self, connection: Connection) -> None:
        for table, rows in self._rows.items():
            for row in rows:
                # A None would be a JSON column's own null. The database computes some columns itself.
                given = {name: value for name, value in row.items() if table.c[name].computed is None}
                values = {name: null() if value is None else value for name, value in given.items()}
                connection.execute(insert(table).values(values))
            column = table.autoincrement_column
            if rows and column is not None and connection.dialect.name == "postgresql":
                sequence = func.pg_get_serial_sequence(table.name, column.name)
                connection.execute(select(func.setval(sequence, rows[-1][column.name])))


def rows_of(connection: Connection) -> Rows:
    """Every row of every table."""
    queries = {table: select(table).order_by(*table.primary_key) for table in metadata.sorted_tables}
    return {table: [*map(dict, connection.execute(query).mappings())] for table, query in queries.items()}
