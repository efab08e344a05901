"""`gatehouse platform` and `keys`: the platforms that may launch this tool, and the keys that it signs with."""

from collections.abc import Callable
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any, BinaryIO

import click
from cryptography.fernet import Fernet

from lti_tool.commands.console import Columns, json_option, listed, open_context, print_fields, print_rows
from lti_tool.context import AppContext
from lti_tool.lti import registration
from lti_tool.lti.keys import load_keys, make_private_key, rotate, state_of
from lti_tool.lti.quirks import PROFILES
from lti_tool.lti.registration import NewRegistration
from lti_tool.platforms import registered, registration_file, self_registration
from lti_tool.platforms.registered import tool_addresses
from lti_tool.platforms.registration_file import read_platform_file
from lti_tool.programme.yaml_source import MAX_BYTES

REGISTRATION: dict[str, str | Callable[[Any], Any]] = {
    "id": "id",
    "issuer": "issuer",
    "client_id": "client_id",
    "deployment_ids": lambda each: sorted(each.deployment_ids),
    "auth_login_url": "auth_login_url",
    "token_url": "token_url",
    "key_set_url": "key_set_url",
    "audience": "token_audience",
    "service_origins": lambda each: sorted(each.service_origins),
    "profile": lambda each: each.profile.name,
    "old_roles": "old_roles",
    "came_by": "came_by",
    "status": "status",
}
IN_SHORT = ("id", "client_id", "deployment_ids", "profile", "came_by", "status")
PLANNED: Columns = {
    "row": lambda each: each.entry.number,
    "line": lambda each: each.entry.line,
    "outcome": "outcome",
    "issuer": lambda each: each.entry.new.issuer if each.entry.new else None,
    "client_id": lambda each: each.entry.new.client_id if each.entry.new else None,
    "detail": "detail",
}

platform_id = click.argument("platform_id", type=int)
origins_option = click.option(
    "--service-origin",
    "service_origins",
    multiple=True,
    help="Another origin of its services, such as https://api.example.org; may be repeated.",
)

confirm_option = click.option(
    "--confirm",
    "confirmed",
    is_flag=True,
    help="Accept it although it would speak for a platform that is registered already.",
)


@click.group()
def platform() -> None:
    """Register learning platforms (LMS) and switch them on and off.

    A registration is what a platform shows in its LTI 1.3 settings: issuer, client id, deployment ids and three
    addresses. Open edX makes a client id for every unit, unless units share one.
    """


@platform.command()
@click.option("--issuer", required=True, help="The platform's issuer, exactly as it sends it.")
@click.option("--client-id", required=True, help="The client id the platform gave this tool.")
@click.option("--deployment-id", "deployment_ids", required=True, multiple=True, help="Deployment id; may be repeated.")
@click.option("--auth-login-url", required=True, help="Where a login is sent (authorization endpoint).")
@click.option("--token-url", required=True, help="Where access tokens are asked for.")
@click.option("--key-set-url", required=True, help="The platform's public key set (JWKS).")
@click.option("--audience", "token_audience", help="Audience of token requests, if it is not the token URL.")
@click.option("--profile", type=click.Choice(list(PROFILES)), default="generic", show_default=True, help="Its kind.")
@click.option("--old-roles", is_flag=True, help="Take institution roles as course roles (Open edX before 11.1.0).")
@origins_option
@json_option
def add(deployment_ids: tuple[str, ...], service_origins: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Register a platform. Repeating the command only adds deployments.

    Register only platforms of your own training centre: a teacher of any of its courses may use the whole desk.
    """
    with open_context() as context:
        _add(context, NewRegistration(**given), deployment_ids, service_origins, as_json)


@platform.command("add-unit")
@platform_id
@click.option("--client-id", required=True, help="The client id that the platform shows for this unit.")
@click.option("--key-set-url", help="The unit's own key set address.")
@click.option("--token-url", help="The unit's own token address.")
@click.option("--deployment-id", "deployment_ids", multiple=True, help="Its deployment ids, if they are others.")
@json_option
def add_unit(
    platform_id: int,
    client_id: str,
    key_set_url: str | None,
    token_url: str | None,
    deployment_ids: tuple[str, ...],
    as_json: bool,
) -> None:
    """Register another unit of a platform that is registered already (Open edX has a client id for each).

    Everything that is not given is that of PLATFORM_ID. On Open edX the token address and the key set address end with
    the same id, so one of the two is enough.
    """
    with open_context() as context:
        with context.database.read() as connection:
            sibling = registration.load(connection, platform_id)
        new = registered.beside(sibling, client_id, key_set_url=key_set_url, token_url=token_url)
        deployments = deployment_ids or tuple(sorted(sibling.deployment_ids))
        _add(context, new, deployments, tuple(sorted(sibling.service_origins)), as_json)


@platform.command("list")
@json_option
def list_platforms(as_json: bool) -> None:
    """List the registered platforms, those of one issuer together."""
    with open_context() as context, context.database.read() as connection:
        found = registration.list_registrations(connection)
    if as_json or not found:
        print_rows(found, as_json, REGISTRATION)
        return
    in_short = {f"  {name}" if name == "id" else name: REGISTRATION[name] for name in IN_SHORT}
    for issuer, of_issuer in groupby(sorted(found, key=attrgetter("issuer", "id")), attrgetter("issuer")):
        click.echo(issuer)
        print_rows(of_issuer, as_json, in_short)


@platform.command()
@platform_id
@json_option
def show(platform_id: int, as_json: bool) -> None:
    """Show one platform, and the tool's addresses to enter on its side."""
    with open_context() as context, context.database.read() as connection:
        row = listed(registration.load(connection, platform_id), REGISTRATION)
        print_fields(row | tool_addresses(context.settings.public_url), as_json)


@platform.command()
@platform_id
@click.option("--deployment-id", "deployment_ids", multiple=True, help="A deployment id to add; may be repeated.")
@click.option("--auth-login-url", help="New authorization endpoint.")
@click.option("--token-url", help="New token endpoint.")
@click.option("--key-set-url", help="New key set address.")
@click.option("--audience", "token_audience", help="New audience of token requests.")
@click.option("--profile", type=click.Choice(list(PROFILES)), help="New kind of platform.")
@click.option("--old-roles/--no-old-roles", default=None, help="Take institution roles as course roles, or not.")
@origins_option
@json_option
def change(platform_id: int, deployment_ids: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Correct a platform's addresses or add deployments; what is not given stays.

    The origins given with --service-origin replace the former ones.
    """
    values = {name: value for name, value in given.items() if value not in (None, ())}
    with open_context() as context:
        _check_addresses(context, values)
        with context.database.write() as connection:
            registration.change(connection, platform_id, values, deployment_ids, actor="cli", now=context.clock())
            row = listed(registration.load(connection, platform_id), REGISTRATION)
        print_fields(row, as_json)


@platform.command()
@platform_id
@click.option("--deployment-id", "deployment_ids", multiple=True, help="A deployment id that it did not name itself.")
@confirm_option
@json_option
def approve(platform_id: int, deployment_ids: tuple[str, ...], confirmed: bool, as_json: bool) -> None:
    """Let a platform that registered itself launch from now on.

    One whose issuer is registered already with keys at another address, or that names addresses of another platform,
    needs --confirm: its keys would be trusted for everybody of that issuer.
    """
    with open_context() as context, context.database.write() as connection:
        now = context.clock()
        registration.approve(connection, platform_id, deployment_ids, actor="cli", now=now, confirmed=confirmed)
        print_fields(registration.load(connection, platform_id), as_json, REGISTRATION)


@platform.command()
@click.option(
    "--hours",
    type=click.IntRange(1, self_registration.MOST_HOURS),
    default=24,
    show_default=True,
    help="How long the link is good for.",
)
@json_option
def invite(hours: int, as_json: bool) -> None:
    """Print a one-time link by which a platform registers itself (Moodle, Canvas; not Open edX).

    Give it to the platform's administrator. The registration waits for `gatehouse platform approve`.
    """
    with open_context() as context, context.database.write() as connection:
        now, public_url, lifetime = context.clock(), context.settings.public_url, timedelta(hours=hours)
        link = self_registration.invite(connection, public_url, actor="cli", now=now, lifetime=lifetime)
        print_fields({"link": link, "expires_at": now + lifetime}, as_json)


@platform.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Only say what would be added, changed and refused.")
@json_option
def import_platforms(file: BinaryIO, dry_run: bool, as_json: bool) -> None:
    """Register the platforms of a YAML or JSON file, all of them or none.

    The file is a list. Each row has issuer, client_id, deployment_ids (a list), auth_login_url, token_url and
    key_set_url, and may have audience, profile, old_roles and service_origins (a list). A platform that is registered
    already is changed to what its row says; deployments are only ever added. Importing a file twice changes nothing.
    """
    entries = read_platform_file(file.read(MAX_BYTES + 1))
    with open_context() as context, context.database.read() if dry_run else context.database.write() as connection:
        planned = registration_file.plan(connection, context.http, entries)
        print_rows(planned, as_json, PLANNED)
        if dry_run:
            registration_file.verify(planned)
        else:
            registration_file.carry_out(connection, planned, actor="cli", now=context.clock())
    if not as_json:
        click.echo("Nothing was written: this was a dry run." if dry_run else "Imported.")


@platform.command()
@platform_id
@json_option
def disable(platform_id: int, as_json: bool) -> None:
    """Refuse launches from a platform and end its sessions. Nothing is deleted."""
    _set_status(platform_id, "disabled", as_json)


@platform.command()
@platform_id
@confirm_option
@json_option
def enable(platform_id: int, confirmed: bool, as_json: bool) -> None:
    """Let a disabled platform launch again."""
    _set_status(platform_id, "active", as_json, confirmed)


def _set_status(platform_id: int, status: str, as_json: bool, confirmed: bool = False) -> None:
    with open_context() as context, context.database.write() as connection:
        now = context.clock()
        registration.set_status(connection, platform_id, status, actor="cli", now=now, confirmed=confirmed)
        print_fields(registration.load(connection, platform_id), as_json, REGISTRATION)


def _add(
    context: AppContext,
    new: NewRegistration,
    deployment_ids: tuple[str, ...],
    service_origins: tuple[str, ...],
    as_json: bool,
) -> None:
    addresses = {name: getattr(new, name) for name in registration.ADDRESSES}
    _check_addresses(context, {**addresses, "service_origins": service_origins})
    with context.database.write() as connection:
        added = registration.add(
            connection, new, deployment_ids, actor="cli", now=context.clock(), service_origins=service_origins
        )
        row = listed(registration.load(connection, added), REGISTRATION)
    print_fields(row | tool_addresses(context.settings.public_url), as_json)


def _check_addresses(context: AppContext, given: dict[str, Any]) -> None:
    named = [given[name] for name in registration.ADDRESSES if name in given]
    for url in (*named, *given.get("service_origins", ())):
        context.http.check_url(url)


@click.group()
def keys() -> None:
    """List and rotate the tool's signing keys; make a key for encrypted fields."""


@keys.command("list")
@json_option
def list_keys(as_json: bool) -> None:
    """List the signing keys: waiting, signing, leaving (still published) or retired. The first start makes one."""
    with open_context() as context:
        context.keys.signing_key()
        with context.database.read() as connection:
            found, now = load_keys(connection), context.clock()
    columns: Columns = {
        "kid": "kid",
        "state": lambda key: state_of(key, found, now),
        "created_at": "created_at",
        "signs_from": "signs_from",
        "retired_at": "retired_at",
    }
    print_rows(found, as_json, columns)


@keys.command("rotate")
@click.option(
    "--at-once", is_flag=True, help="A key fell into other hands: sign with the new one now, withdraw others."
)
@json_option
def rotate_keys(at_once: bool, as_json: bool) -> None:
    """Publish a new signing key. It signs in three days; the present key leaves a week after that.

    Nothing has to be done on the platforms: they read the key set themselves. The worker does the same by itself every
    GATEHOUSE_KEY_ROTATION_DAYS.
    """
    private_key = make_private_key()
    with open_context() as context, context.database.write() as connection:
        now = context.clock()
        kid = rotate(connection, private_key, at_once=at_once, actor="cli", now=now)
        key = next(each for each in load_keys(connection) if each.kid == kid)
    print_fields({"kid": kid, "signs_from": key.signs_from}, as_json)


@keys.command()
def field() -> None:
    """Print a new key for GATEHOUSE_FIELD_KEYS. Put it first and keep the old ones behind it."""
    click.echo(Fernet.generate_key().decode())
