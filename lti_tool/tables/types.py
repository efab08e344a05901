"""Column types and the one metadata with its naming convention, so that every constraint has a stable name."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol, cast

from sqlalchemy import BigInteger, DateTime, Integer, LargeBinary, MetaData, String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts rows up only for a column that is exactly INTEGER PRIMARY KEY; PostgreSQL gets the wide type.
Id = BigInteger().with_variant(Integer, "sqlite")


class FieldCipher(Protocol):
    """What an encrypted column needs: MultiFernet has it."""

    def encrypt(self, msg: bytes) -> bytes: ...
    def decrypt(self, msg: bytes | str, ttl: int | None = None) -> bytes: ...


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC instant. Refuses naive values; SQLite, which knows no zones, stores UTC wall time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored: give an aware instant")
        return value.astimezone(UTC) if dialect.name != "sqlite" else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Credits(TypeDecorator[Decimal]):
    """Credits and hours as exact decimals; kept as text because SQLite has no decimal of its own."""

    impl = String(16)
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, _dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class Encrypted(TypeDecorator[str]):
    """Text that is encrypted in the database with the field keys (newest first), which live outside it.

    `Database` hands its cipher to the dialect as `field_cipher`, so no key is ever global.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else _cipher(dialect).encrypt(value.encode())

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        return None if value is None else _cipher(dialect).decrypt(value).decode()


def _cipher(dialect: Any) -> FieldCipher:
    return cast(FieldCipher, dialect.field_cipher)
