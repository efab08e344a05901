"""Registrations: the platforms this tool trusts, keyed by (issuer, client_id), each with its deployments.

See lti.md OIDC-2.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select, update

from lti_tool import audit
from lti_tool.db import insert_ignoring
from lti_tool.errors import Conflict, NotFound, RefusedLaunch
from lti_tool.lti.doubts import doubts
from lti_tool.lti.new_registration import ADDRESSES as ADDRESSES
from lti_tool.lti.new_registration import NewRegistration as NewRegistration
from lti_tool.lti.new_registration import Registration as Registration
from lti_tool.lti.new_registration import origin as origin
from lti_tool.lti.new_registration import origins_of, verify
from lti_tool.lti.quirks import PROFILES
from lti_tool.tables.platforms import deployments, registrations


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
        raise _exists(found.id)
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
    `platform_changed_meanwhile` when somebody else was faster.
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
    if status == "active":
        _verify_fit(connection, before, confirmed)
    of_this_status = (registrations.c.id == before.id) & (registrations.c.status == before.status)
    if not connection.execute(update(registrations).where(of_this_status).values(status=status)).rowcount:
        raise Conflict("platform_changed_meanwhile", "Somebody else changed this platform.", "Look at it again.")
    act = "platform_approved" if (before.status, status) == ("pending", "active") else f"platform_{status}"
    audit.record(connection, actor=actor, act=act, subject=f"platform:{before.id}", at=now)


def _verify_fit(connection: Connection, registration: Registration, confirmed: bool) -> None:
    if not registration.deployment_ids:
        raise Conflict(
            "deployment_missing",
            "This platform named no deployment id, so its launches could not be told from anybody else's.",
            "Read the deployment id in the platform's settings of this tool and give it with the approval.",
        )
    if registration.came_by != "dynamic" or confirmed:
        return
    # Of two that are approved at once, the later one sees what the earlier one has become.
    connection.execute(_locked)
    found = doubts(registration, list_registrations(connection))
    if found:
        verb = "approve" if registration.status == "pending" else "enable"
        raise Conflict(
            "platform_doubtful",
            " ".join(found),
            "If that is meant, let whoever runs the server decide it: "
            f"`gatehouse platform {verb} {registration.id} --confirm`.",
        )


def _add_deployments(connection: Connection, registration_id: int, deployment_ids: Iterable[str]) -> None:
    for each in sorted(set(deployment_ids)):
        connection.execute(
            insert_ignoring(connection, deployments).values(registration_id=registration_id, deployment_id=each)
        )


def _exists(registration_id: int) -> Conflict:
    return Conflict(
        "platform_exists",
        f"This issuer and client id are registered already (platform {registration_id}).",
        f"`gatehouse platform change {registration_id}` corrects its values.",
    )


def _inactive(found: Iterable[Registration]) -> RefusedLaunch:
    if any(each.status == "pending" for each in found):
        return RefusedLaunch(
            "platform_pending",
            "This learning platform has registered, but nobody here has approved it yet.",
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
        came_by=row.came_by,
        service_origins=frozenset(row.service_origins),
    )


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
