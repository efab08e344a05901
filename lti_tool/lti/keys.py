"""The tool's own keys: RSA pairs made on first use, kept encrypted, published as a key set, rotated with overlap.

A new key is published before it signs, until every platform that keeps our key set has it; an old one stays published
until everything it signed has run out (lti.md KE-3 to KE-5).
"""

import json
import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm
from sqlalchemy import Connection, func, insert, or_, select, text, update

from lti_tool import audit
from lti_tool.db import Database
from lti_tool.errors import Conflict
from lti_tool.signing import base64url
from lti_tool.tables.platforms import tool_keys
from lti_tool.tasks import Clock

log = logging.getLogger(__name__)

KEY_BITS = 2048
# What platforms are told about keeping our key set; some keep it for a day whatever they are told (lti.md KE-4).
MAX_AGE = timedelta(hours=1)
LONGEST_PLATFORM_CACHE = timedelta(days=1)
# How soon this process notices a rotation that another one made.
REMEMBERED = timedelta(seconds=60)
# A platform may have read our key set a moment before the new key was in it, through a cache that was as old as it may
# be: longer than all of that together, and a day to spare.
PUBLISHED_BEFORE_SIGNING = timedelta(days=3)
PUBLISHED_AFTER_SIGNING = timedelta(days=7)

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(1302)")


@dataclass(frozen=True, slots=True)
class ToolKey:
    """One key pair; it is published until `retired_at`."""

    kid: str
    private_key: RSAPrivateKey
    public_jwk: dict[str, Any]
    created_at: datetime
    signs_from: datetime
    retired_at: datetime | None

    def is_published(self, now: datetime) -> bool:
        return self.retired_at is None or now < self.retired_at

    def may_sign(self, now: datetime) -> bool:
        return self.signs_from <= now and self.is_published(now)


class ToolKeys:
    """The tool's keys in memory: each PEM is parsed once. Opens its own transactions: call it outside of yours."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: tuple[ToolKey, ...] = ()
        self._read_at: datetime | None = None

    def signing_key(self) -> ToolKey:
        """The newest key that may sign now."""
        now = self._clock()
        return signing(self._present(now), now)

    def key_set(self) -> dict[str, list[dict[str, Any]]]:
        """The public key set (RFC 7517): every published key with `kid`, `alg` and `use`."""
        now = self._clock()
        return {"keys": [key.public_jwk for key in self._present(now) if key.is_published(now)]}

    def _present(self, now: datetime) -> tuple[ToolKey, ...]:
        with self._lock:
            if self._read_at is not None and abs(now - self._read_at) <= REMEMBERED:
                return self._keys
            known = {key.kid: key.private_key for key in self._keys}
            with self._database.read() as connection:
                self._keys = load_keys(connection, known)
            if not self._keys:
                private_key = make_private_key()
                with self._database.write() as connection:
                    _take_turn(connection)
                    if not load_keys(connection):  # of several processes that start at once, one makes the first key
                        _insert(connection, private_key, signs_from=now, now=now)
                    self._keys = load_keys(connection)
            self._read_at = now
            return self._keys


def load_keys(connection: Connection, known: dict[str, RSAPrivateKey] | None = None) -> tuple[ToolKey, ...]:
    """All keys, newest first; those in `known` (by kid) are not parsed again."""
    rows = connection.execute(select(tool_keys).order_by(tool_keys.c.signs_from.desc(), tool_keys.c.kid))
    keys = []
    for row in rows:
        parsed = (known or {}).get(row.kid) or serialization.load_pem_private_key(
            row.private_pem.encode(), password=None
        )
        assert isinstance(parsed, RSAPrivateKey)
        keys.append(ToolKey(row.kid, parsed, row.public_jwk, row.created_at, row.signs_from, row.retired_at))
    return tuple(keys)


def signing(keys: tuple[ToolKey, ...], now: datetime) -> ToolKey:
    """The newest key that may sign now; `keys` has the newest first. If none may, because another machine with a fast
    clock made the first one, the oldest."""
    return next((key for key in keys if key.may_sign(now)), keys[-1])


def state_of(key: ToolKey, keys: tuple[ToolKey, ...], now: datetime) -> str:
    """ "waiting" (published, does not sign yet), "signing", "leaving" (published, signs no more) or "retired"."""
    if not key.is_published(now):
        return "retired"
    if key is signing(keys, now):
        return "signing"
    return "leaving" if key.may_sign(now) else "waiting"


def make_private_key() -> RSAPrivateKey:
    """A new RSA key. It takes a good part of a second: make it before a transaction, not inside."""
    return generate_private_key(public_exponent=65537, key_size=KEY_BITS)


def rotate(connection: Connection, private_key: RSAPrivateKey, *, at_once: bool, actor: str, now: datetime) -> str:
    """Publish a new signing key; returns its kid. It signs in three days, and the keys before it leave a week after
    that.

    `at_once` is for a key that fell into other hands: the new key signs now and all others are withdrawn now. Raises
    Conflict `rotation_under_way` while the key of an earlier rotation still waits to sign.
    """
    _take_turn(connection)
    present = load_keys(connection)
    if not at_once and any(key.signs_from > now and key.is_published(now) for key in present):
        raise Conflict(
            "rotation_under_way",
            "A new key is published already and waits for its time to sign.",
            "`gatehouse keys list` shows when. Use --at-once only if a key fell into other hands.",
        )
    signs_at_once = at_once or not any(key.may_sign(now) for key in present)
    signs_from = now if signs_at_once else now + PUBLISHED_BEFORE_SIGNING
    leaves_at = now if at_once else signs_from + PUBLISHED_AFTER_SIGNING
    staying = tool_keys.c.retired_at.is_(None) | (tool_keys.c.retired_at > leaves_at)
    connection.execute(update(tool_keys).where(staying).values(retired_at=leaves_at))
    kid = _insert(connection, private_key, signs_from=signs_from, now=now)
    audit.record(connection, actor=actor, act="tool_key_rotated", subject=f"key:{kid}", at=now, at_once=at_once)
    return kid


def rotate_when_due(database: Database, now: datetime, days: int) -> bool:
    """Periodic job: rotate when the newest key is `days` old; 0 means never. Always returns False: there is never more
    to do at once.

    If several workers find it due at the same time, one rotates. The first process that signs makes the first key.
    """
    if not days:
        return False
    with database.read() as connection:
        if not _is_due(connection, now, days):
            return False
    private_key = make_private_key()
    with database.write() as connection:
        _take_turn(connection)
        if not _is_due(connection, now, days):
            return False
        rotate(connection, private_key, at_once=False, actor="system", now=now)
    log.info("a new signing key is published")
    return False


def _is_due(connection: Connection, now: datetime, days: int) -> bool:
    """Called often, so it decrypts no key."""
    waits = (tool_keys.c.signs_from > now) & or_(tool_keys.c.retired_at.is_(None), tool_keys.c.retired_at > now)
    if connection.execute(select(tool_keys.c.kid).where(waits).limit(1)).first() is not None:
        return False
    newest = connection.execute(select(func.max(tool_keys.c.created_at))).scalar()
    return newest is not None and now - newest >= timedelta(days=days)


def _take_turn(connection: Connection) -> None:
    """Lets one process at a time look at the keys and add one; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(_ONE_AT_A_TIME)


def _insert(connection: Connection, private_key: RSAPrivateKey, *, signs_from: datetime, now: datetime) -> str:
    pem = private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # The public half as a JWK; its kid is the thumbprint of RFC 7638.
    numbers = RSAAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
    bare = {"e": numbers["e"], "kty": "RSA", "n": numbers["n"]}
    kid = base64url(sha256(json.dumps(bare, separators=(",", ":")).encode()).digest())
    jwk = {**bare, "kid": kid, "alg": "RS256", "use": "sig"}
    connection.execute(
        insert(tool_keys).values(
            kid=kid, private_pem=pem.decode(), public_jwk=jwk, created_at=now, signs_from=signs_from
        )
    )
    return kid
