"""Registrations: the platforms this tool trusts, keyed by (issuer, client_id), with their deployments (lti.md OIDC-2).

People are known by issuer and user id, so whoever holds the keys of one registration can sign in as every person of its
issuer. An access token goes to any host of its registration, so one that names another platform's hosts could have that
platform's tokens fetched and sent to itself: `doubts` says so of one that registered itself.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, Row, Select, bindparam, select, update

from lti_tool import audit
from lti_tool.db import Database, insert_ignoring
from lti_tool.errors import BadInput, Conflict, NotFound, RefusedLaunch
from lti_tool.lti.quirks import PROFILES, Profile
from lti_tool.tables.platforms import deployments, registrations

ADDRESSES = ("auth_login_url", "token_url", "key_set_url")
LONGEST_TEXT = 255
LONGEST_ADDRESS = 2048
MOST_ORIGINS = 20
OWN_PORTS = {"https": 443, "http": 80}


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


@dataclass(frozen=True, slots=True)
class Registration:
    """One platform's registration of this tool. URLs are absolute; `token_audience` None means the token URL.

    `status` is "pending" (it came by itself and waits for staff), "active" or "disabled"; `came_by` is "command",
    "file" or "dynamic"; `service_origins` are origins of its services beside those of its addresses.
    """

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
    came_by: str = "command"
    service_origins: frozenset[str] = frozenset()

    @property
    def is_active(self) -> bool:
        return self.status == "active"

    @property
    def hosts(self) -> frozenset[str]:
        """The origins that belong to this platform: an access token goes nowhere else (lti.md TK-7)."""
        origins = (origin(url) for url in (self.auth_login_url, self.token_url, self.key_set_url))
        return self.service_origins.union(each for each in origins if each)


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


def origins_of(addresses: Collection[str]) -> list[str]:
    """The origins of these web addresses, each once, in order. Raises BadInput `platform_wrong`."""
    found = {origin(each) if _is_readable(each, LONGEST_ADDRESS) else None for each in addresses}
    if len(found) > MOST_ORIGINS:
        raise _wrong(f"A platform has at most {MOST_ORIGINS} more addresses of services.")
    if None in found:
        raise _wrong("Each further address of the platform's services must be an absolute web address.")
    return sorted(each for each in found if each)


def verify(new: NewRegistration, deployment_ids: Collection[str], *, may_lack_deployment: bool = False) -> None:
    """Raises BadInput `platform_wrong` naming what cannot be taken. Whether the addresses may be called at all is
    another question (`Http.check_url`)."""
    audience = [] if new.token_audience is None else [("audience", new.token_audience)]
    named = [("issuer", new.issuer), ("client id", new.client_id), *audience]
    for name, text in (*named, *(("deployment id", each) for each in deployment_ids)):
        if not text.strip() or not _is_readable(text, LONGEST_TEXT):
            raise _wrong(f"The {name} must have 1 to {LONGEST_TEXT} characters that can be printed.")
    if not deployment_ids and not may_lack_deployment:
        raise _wrong("At least one deployment id is needed.")
    if new.profile not in PROFILES:
        raise _wrong(f"The profile must be one of {', '.join(PROFILES)}.")
    for name in ADDRESSES:
        url = getattr(new, name)
        if origin(url) is None or not _is_readable(url, LONGEST_ADDRESS):
            raise _wrong(f"The {name.replace('_', ' ')} must be an absolute web address.")


def _is_readable(text: str, longest: int) -> bool:
    return len(text) <= longest and text.isprintable()


def _wrong(message: str) -> BadInput:
    return BadInput("platform_wrong", message, "Copy the values from the platform's LTI 1.3 settings.")


def doubts(registration: Registration, known: Iterable[Registration]) -> list[str]:
    """Why this registration would gain what belongs to one of those known; in words, none for most.

    Every registration of an issuer must have the same keys, and an issuer's hosts are its own: one that was declined
    vouches for no other. What still waits for a decision counts for nothing; what was switched off counts, for its
    people are still known.
    """
    others = [each for each in known if each.id != registration.id and each.status != "pending"]
    found = []
    of_issuer = [each for each in others if each.issuer == registration.issuer]
    if elsewhere := [each for each in of_issuer if each.key_set_url != registration.key_set_url]:
        found.append(
            f"The issuer {registration.issuer} is registered here already ({_named(elsewhere)}) with keys at another "
            f"address. Whoever holds the keys at {registration.key_set_url} could sign in as any of its people, "
            "teachers too."
        )
    if owners := [each for each in others if each not in of_issuer and each.hosts & registration.hosts]:
        shared = registration.hosts & frozenset().union(*(each.hosts for each in owners))
        found.append(
            f"Addresses that it names belong to {_named(owners)}: {', '.join(sorted(shared))}. Whoever sent it could "
            "be given access tokens that are good there."
        )
    return found


def _named(platforms: Iterable[Registration]) -> str:
    return ", ".join(f"platform {each.id}" for each in platforms)


def add(
    connection: Connection,
    new: NewRegistration,
    deployment_ids: Collection[str],
    *,
    actor: str,
    now: datetime,
    came_by: str = "command",
    status: str = "active",
    service_origins: Collection[str] = (),
) -> int:
    """Register a platform; the id of its registration. Saying the same again only adds deployments.

    A "pending" one may lack a deployment id (lti.md DR-4). Raises BadInput `platform_wrong`, or Conflict
    `platform_exists` when (issuer, client_id) has other values, or is there at all and a pending one is to be added.
    Whether the addresses may be called is the caller's question (`Http.check_url`).
    """
    verify(new, deployment_ids, may_lack_deployment=status == "pending")
    origins = origins_of(service_origins)
    row = asdict(new) | {"status": status, "came_by": came_by, "service_origins": origins, "created_at": now}
    is_new = connection.execute(insert_ignoring(connection, registrations), row).rowcount
    found = find_any(connection, new.issuer, new.client_id)
    assert found is not None
    if is_new:
        audit.record(connection, actor=actor, act="platform_added", subject=f"platform:{found.id}", at=now)
    elif status == "pending" or given(found) != new or found.service_origins != set(origins):
        raise Conflict(
            "platform_exists",
            f"This issuer and client id are registered already (platform {found.id}).",
            f"`gatehouse platform change {found.id}` corrects its values.",
        )
    _add_deployments(connection, found.id, deployment_ids)
    return found.id


def load(connection: Connection, registration_id: int) -> Registration:
    """The registration of this id, active or not. Raises NotFound `platform_missing`."""
    found = _rows(connection, _by_id, {"id": registration_id})
    if not found:
        raise NotFound(
            "platform_missing", "There is no platform with this id.", "`gatehouse platform list` shows them."
        )
    return found[0]


def find(connection: Connection, issuer: str, client_id: str | None) -> Registration:
    """The active registration that a login names (lti.md OIDC-2).

    Raises RefusedLaunch `platform_unknown`, `client_id_missing` (the issuer alone does not decide),
    `platform_pending` or `platform_disabled`.
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
        raise _inactive(found)
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
        raise _inactive([registration])
    return registration


def find_any(connection: Connection, issuer: str, client_id: str) -> Registration | None:
    """The registration of this issuer and client id, active or not."""
    found = _rows(connection, _by_client, {"issuer": issuer, "client_id": client_id})
    return found[0] if found else None


def list_registrations(connection: Connection) -> list[Registration]:
    return _rows(connection, _all, {})


def set_status(
    connection: Connection, registration_id: int, status: str, *, actor: str, now: datetime, confirmed: bool = False
) -> None:
    """Make a registration "active" or "disabled"; a disabled one launches nothing and its sessions end.

    For one that came by itself, "active" is its approval, and audited as such. Raises Conflict `deployment_missing`,
    `platform_doubtful` for one that came by itself and would speak for another (unless `confirmed`), or
    `platform_changed_meanwhile` when another change was faster.
    """
    _switch(connection, load(connection, registration_id), status, actor, now, confirmed)


def approve(
    connection: Connection,
    registration_id: int,
    deployment_ids: Collection[str],
    *,
    actor: str,
    now: datetime,
    confirmed: bool = False,
) -> None:
    """Let a pending registration launch from now on, with these deployments beside those it named.

    Raises Conflict `platform_not_pending` and as `set_status`, BadInput `platform_wrong`.
    """
    before = load(connection, registration_id)
    if before.status != "pending":
        message = f"This platform does not wait for an approval: it is {before.status}."
        raise Conflict("platform_not_pending", message, "A disabled platform is switched on again by enabling it.")
    verify(given(before), deployment_ids, may_lack_deployment=True)
    _add_deployments(connection, registration_id, deployment_ids)
    named = replace(before, deployment_ids=before.deployment_ids.union(deployment_ids))
    _switch(connection, named, "active", actor, now, confirmed)


def change(
    connection: Connection,
    registration_id: int,
    values: Mapping[str, Any],
    deployment_ids: Collection[str],
    *,
    actor: str,
    now: datetime,
) -> None:
    """Correct a registration's addresses, audience, profile, switches or `service_origins`, and add deployments."""
    before = load(connection, registration_id)
    changed = dict(values)
    if "service_origins" in changed:
        changed["service_origins"] = origins_of(changed["service_origins"])
    merged = asdict(given(before)) | {name: value for name, value in changed.items() if name != "service_origins"}
    verify(NewRegistration(**merged), deployment_ids, may_lack_deployment=True)
    if changed:
        connection.execute(update(registrations).where(registrations.c.id == registration_id).values(**changed))
    _add_deployments(connection, registration_id, deployment_ids)
    subject = f"platform:{registration_id}"
    audit.record(connection, actor=actor, act="platform_changed", subject=subject, at=now, fields=sorted(changed))


def given(registration: Registration) -> NewRegistration:
    """A registration's own values, in the form they were given in."""
    values = {name: getattr(registration, name) for name in NewRegistration.__dataclass_fields__}
    return NewRegistration(**{**values, "profile": registration.profile.name})


def _switch(
    connection: Connection, before: Registration, status: str, actor: str, now: datetime, confirmed: bool
) -> None:
    if status == "active" and not before.deployment_ids:
        raise Conflict(
            "deployment_missing",
            "This platform named no deployment id, so its launches could not be told from anybody else's.",
            "Read the deployment id in the platform's settings of this tool and give it with the approval.",
        )
    if status == "active" and before.came_by == "dynamic" and not confirmed:
        # Of two that are approved at once, the later one sees what the earlier one has become.
        connection.execute(_locked)
        if found := doubts(before, list_registrations(connection)):
            verb = "approve" if before.status == "pending" else "enable"
            raise Conflict(
                "platform_doubtful",
                " ".join(found),
                "If that is meant, let whoever runs the server decide it: "
                f"`gatehouse platform {verb} {before.id} --confirm`.",
            )
    of_this_status = (registrations.c.id == before.id) & (registrations.c.status == before.status)
    if not connection.execute(update(registrations).where(of_this_status).values(status=status)).rowcount:
        raise Conflict(
            "platform_changed_meanwhile", "This platform was changed at the same moment.", "Reload it and try again."
        )
    act = "platform_approved" if (before.status, status) == ("pending", "active") else f"platform_{status}"
    audit.record(connection, actor=actor, act=act, subject=f"platform:{before.id}", at=now)


def _add_deployments(connection: Connection, registration_id: int, deployment_ids: Iterable[str]) -> None:
    for each in sorted(set(deployment_ids)):
        connection.execute(
            insert_ignoring(connection, deployments).values(registration_id=registration_id, deployment_id=each)
        )


def _inactive(found: Iterable[Registration]) -> RefusedLaunch:
    if any(each.status == "pending" for each in found):
        return RefusedLaunch(
            "platform_pending",
            "This learning platform has registered, but staff have not approved it yet.",
            "Ask the people who run Gatehouse to approve it: on the desk under Platforms, or with "
            "`gatehouse platform approve`.",
            status=403,
        )
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
    return [
        Registration(
            **{name: getattr(row, name) for name in _AS_STORED},
            profile=PROFILES[row.profile],
            deployment_ids=frozenset(ids),
            service_origins=frozenset(row.service_origins),
        )
        for row, ids in gathered.values()
    ]


_AS_STORED = Registration.__dataclass_fields__.keys() - {"profile", "deployment_ids", "service_origins"}
_all = (
    select(registrations, deployments.c.deployment_id)
    .select_from(registrations.outerjoin(deployments))
    .order_by(registrations.c.id)
)
# Launches, which only refer to a registration, do not wait for this.
_locked = select(registrations.c.id).order_by(registrations.c.id).with_for_update(key_share=True)
_by_id = _all.where(registrations.c.id == bindparam("id"))
_by_issuer = _all.where(registrations.c.issuer == bindparam("issuer"))
_by_client = _by_issuer.where(registrations.c.client_id == bindparam("client_id"))

REMEMBERED = timedelta(seconds=2)

Key = int | tuple[str, str | None]


class Registrations:
    """The active registrations as logins and launches see them, each read at most once in two seconds. Safe to use from
    several threads; `now` is the instant of the request that asks.

    Only what stands is remembered: a new registration counts at once, a change of a known one within two seconds. The
    sessions of a disabled one end at once: they ask the database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[Key, tuple[datetime, Registration]] = {}

    def find(self, issuer: str, client_id: str | None, now: datetime) -> Registration:
        """The registration that a login names; raises what `registration.find` does."""
        return self._recall((issuer, client_id), lambda connection: find(connection, issuer, client_id), now)

    def load_active(self, registration_id: int, now: datetime) -> Registration:
        """The registration that a state names; raises what `registration.load_active` does."""
        return self._recall(registration_id, lambda connection: load_active(connection, registration_id), now)

    def _recall(self, key: Key, read: Callable[[Connection], Registration], now: datetime) -> Registration:
        read_at, registration = self._known.get(key, (None, None))
        if read_at is None or registration is None or abs(now - read_at) > REMEMBERED:
            with self._database.read() as connection:
                registration = read(connection)
            self._known[key] = now, registration
        return registration
