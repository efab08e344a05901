"""Registrations: the platforms this tool trusts, keyed by (issuer, client_id), each with its deployments (OIDC-2)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, Row, Select, bindparam, insert, select, update

from lti_tool import audit
from lti_tool.db import insert_ignoring
from lti_tool.errors import BadInput, Conflict, NotFound, RefusedLaunch
from lti_tool.lti.quirks import PROFILES, Profile
from lti_tool.tables.platforms import deployments, registrations

ADDRESSES = ("auth_login_url", "token_url", "key_set_url")
LONGEST_TEXT = 255
OWN_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Registration:
    """One platform's registration of this tool. URLs are absolute; `token_audience` None means the token URL."""

    id: int
    issuer: str
    client_id: str
    auth_login_url: str
    token_url: str
    key_set_url: str
    token_audience: str | None
    profile: Profile
    old_roles: bool
    status: str
    deployment_ids: frozenset[str]

    @property
    def is_active(self) -> bool:
        return self.status == "active"

    @property
    def hosts(self) -> frozenset[str]:
        """The origins that belong to this platform: an access token goes nowhere else (TK-7)."""
        origins = (origin(url) for url in (self.auth_login_url, self.token_url, self.key_set_url))
        return frozenset(each for each in origins if each)


@dataclass(frozen=True, slots=True)
class NewRegistration:
    """What an administrator gives; `profile` is a name in quirks.PROFILES."""

    issuer: str
    client_id: str
    auth_login_url: str
    token_url: str
    key_set_url: str
    token_audience: str | None = None
    profile: str = "generic"
    old_roles: bool = False


def origin(url: str) -> str | None:
    """Scheme, host and port of a web address, in lower case and without the scheme's own port; None for anything
    else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in OWN_PORTS or not parts.hostname:
        return None
    return f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port and port != OWN_PORTS[parts.scheme] else "")


def add(
    connection: Connection, new: NewRegistration, deployment_ids: Collection[str], *, actor: str, now: datetime
) -> int:
    """Register a platform; the id of its registration. Saying the same again only adds deployments.

    Raises BadInput `platform_wrong`, or Conflict `platform_exists` when (issuer, client_id) has other values. Whether
    the addresses may be called at all is the caller's question (`Http.check_url`).
    """
    _verify(new, deployment_ids)
    known = _rows(connection, _by_client, {"issuer": new.issuer, "client_id": new.client_id})
    if known:
        registration = known[0]
        _verify_same(registration, new)
    else:
        values = {name: getattr(new, name) for name in NewRegistration.__dataclass_fields__}
        result = connection.execute(
            insert(registrations)
            .values(**values, status="active", came_by="command", service_origins=[], created_at=now)
            .returning(registrations.c.id)
        )
        registration = load(connection, int(result.scalar_one()))
        audit.record(connection, actor=actor, act="platform_added", subject=f"platform:{registration.id}", at=now)
    _add_deployments(connection, registration.id, deployment_ids)
    return registration.id


def load(connection: Connection, registration_id: int) -> Registration:
    """The registration of this id, active or not. Raises NotFound `platform_missing`."""
    found = _rows(connection, _by_id, {"id": registration_id})
    if not found:
        raise NotFound(
            "platform_missing", "There is no platform with this id.", "`gatehouse platform list` shows them."
        )
    return found[0]


def find(connection: Connection, issuer: str, client_id: str | None) -> Registration:
    """The active registration that a login names (OIDC-2).

    Raises RefusedLaunch `platform_unknown`, `client_id_missing` (the issuer alone does not decide) or
    `platform_disabled`.
    """
    query = _by_issuer if client_id is None else _by_client
    found = _rows(connection, query, {"issuer": issuer, "client_id": client_id})
    if not found:
        raise RefusedLaunch(
            "platform_unknown",
            "This learning platform, or this unit of it, is not registered here.",
            "Ask the people who run the course to register the unit's issuer and client id with Gatehouse.",
            status=403,
        )
    active = [each for each in found if each.is_active]
    if not active:
        raise _disabled()
    if len(active) > 1:
        raise RefusedLaunch(
            "client_id_missing",
            "The learning platform did not say which of its registrations this launch belongs to.",
            "Ask the people who run the platform to send client_id with the login request.",
        )
    return active[0]


def load_active(connection: Connection, registration_id: int) -> Registration:
    """The registration that a state names. Raises RefusedLaunch when it has been disabled since."""
    registration = load(connection, registration_id)
    if not registration.is_active:
        raise _disabled()
    return registration


def list_registrations(connection: Connection) -> list[Registration]:
    return _rows(connection, _all, {})


def set_status(connection: Connection, registration_id: int, status: str, *, actor: str, now: datetime) -> None:
    """Make a registration "active" or "disabled"; a disabled one launches nothing and its sessions end."""
    load(connection, registration_id)
    connection.execute(update(registrations).where(registrations.c.id == registration_id).values(status=status))
    audit.record(connection, actor=actor, act=f"platform_{status}", subject=f"platform:{registration_id}", at=now)


def change(
    connection: Connection,
    registration_id: int,
    values: Mapping[str, Any],
    deployment_ids: Collection[str],
    *,
    actor: str,
    now: datetime,
) -> None:
    """Correct a registration's addresses, audience, profile or switches, and add deployments."""
    before = load(connection, registration_id)
    merged = {**_given(before), **values}
    _verify(NewRegistration(**merged), deployment_ids or before.deployment_ids)
    if values:
        connection.execute(update(registrations).where(registrations.c.id == registration_id).values(**values))
    _add_deployments(connection, registration_id, deployment_ids)
    subject = f"platform:{registration_id}"
    audit.record(connection, actor=actor, act="platform_changed", subject=subject, at=now, fields=sorted(values))


def _given(registration: Registration) -> dict[str, Any]:
    """A registration's own values, in the form they were given in."""
    values = {name: getattr(registration, name) for name in NewRegistration.__dataclass_fields__}
    return {**values, "profile": registration.profile.name}


def _add_deployments(connection: Connection, registration_id: int, deployment_ids: Iterable[str]) -> None:
    for each in sorted(set(deployment_ids)):
        connection.execute(
            insert_ignoring(connection, deployments).values(registration_id=registration_id, deployment_id=each)
        )


def _verify(new: NewRegistration, deployment_ids: Collection[str]) -> None:
    texts = [
        ("issuer", new.issuer),
        ("client id", new.client_id),
        *(("deployment id", each) for each in deployment_ids),
    ]
    for name, text in texts:
        if not text.strip() or len(text) > LONGEST_TEXT:
            raise _wrong(f"The {name} must have 1 to {LONGEST_TEXT} characters.")
    if not deployment_ids:
        raise _wrong("At least one deployment id is needed.")
    if new.profile not in PROFILES:
        raise _wrong(f"The profile must be one of {', '.join(PROFILES)}.")
    for name in ADDRESSES:
        if origin(getattr(new, name)) is None:
            raise _wrong(f"The {name.replace('_', ' ')} must be an absolute web address.")


def _verify_same(known: Registration, new: NewRegistration) -> None:
    if _given(known) != {name: getattr(new, name) for name in NewRegistration.__dataclass_fields__}:
        raise Conflict(
            "platform_exists",
            f"This issuer and client id are registered already (platform {known.id}) with other values.",
            f"`gatehouse platform change {known.id}` corrects them.",
        )


def _wrong(message: str) -> BadInput:
    return BadInput("platform_wrong", message, "Copy the values from the platform's LTI 1.3 settings.")


def _disabled() -> RefusedLaunch:
    return RefusedLaunch(
        "platform_disabled",
        "Launches from this learning platform are switched off here.",
        "Ask the people who run the course.",
        status=403,
    )


def _rows(connection: Connection, query: Select[Any], wanted: Mapping[str, Any]) -> list[Registration]:
    """One value for each registration, its deployments gathered."""
    gathered: dict[int, tuple[Row[Any], set[str]]] = {}
    for row in connection.execute(query, wanted):
        _, ids = gathered.setdefault(row.id, (row, set()))
        if row.deployment_id is not None:
            ids.add(row.deployment_id)
    return [_registration(row, ids) for row, ids in gathered.values()]


def _registration(row: Row[Any], deployment_ids: Iterable[str]) -> Registration:
    return Registration(
        id=row.id,
        issuer=row.issuer,
        client_id=row.client_id,
        auth_login_url=row.auth_login_url,
        token_url=row.token_url,
        key_set_url=row.key_set_url,
        token_audience=row.token_audience,
        profile=PROFILES[row.profile],
        old_roles=row.old_roles,
        status=row.status,
        deployment_ids=frozenset(deployment_ids),
    )


_all = (
    select(registrations, deployments.c.deployment_id)
    .select_from(registrations.outerjoin(deployments))
    .order_by(registrations.c.id)
)
_by_id = _all.where(registrations.c.id == bindparam("id"))
_by_issuer = _all.where(registrations.c.issuer == bindparam("issuer"))
_by_client = _by_issuer.where(registrations.c.client_id == bindparam("client_id"))
