"""`gatehouse platform`: the learning platforms that may launch this tool."""

from typing import Any

import click

from lti_tool.commands.console import json_option, open_house, print_fields, print_rows
from lti_tool.house import House
from lti_tool.lti import registration
from lti_tool.lti.oidc import LAUNCH_PATH, LOGIN_PATH
from lti_tool.lti.quirks import PROFILES
from lti_tool.lti.registration import NewRegistration, Registration

platform_id = click.argument("platform_id", type=int)


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
@json_option
def add(deployment_ids: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Register a platform. Saying the same again only adds deployments.

    Register only platforms of your own training centre: a teacher of any of its courses may use the whole desk.
    """
    new = NewRegistration(**given)
    with open_house() as house:
        _check_addresses(house, given)
        with house.database.write() as connection:
            added = registration.add(connection, new, deployment_ids, actor="cli", now=house.clock())
            row = _row(registration.load(connection, added))
        print_fields(row | _own_addresses(house), as_json)


@platform.command("list")
@json_option
def list_platforms(as_json: bool) -> None:
    """List the registered platforms."""
    with open_house() as house, house.database.read() as connection:
        rows = [_row(each) for each in registration.list_registrations(connection)]
    if as_json:
        print_rows(rows, as_json)
        return
    shown = ("id", "issuer", "client_id", "deployment_ids", "profile", "status")
    print_rows([{name: row[name] for name in shown} for row in rows], as_json)


@platform.command()
@platform_id
@json_option
def show(platform_id: int, as_json: bool) -> None:
    """Show one platform, and the tool's addresses to enter on its side."""
    with open_house() as house, house.database.read() as connection:
        print_fields(_row(registration.load(connection, platform_id)) | _own_addresses(house), as_json)


@platform.command()
@platform_id
@click.option("--deployment-id", "deployment_ids", multiple=True, help="A deployment id to add; may be repeated.")
@click.option("--auth-login-url", help="New authorization endpoint.")
@click.option("--token-url", help="New token endpoint.")
@click.option("--key-set-url", help="New key set address.")
@click.option("--audience", "token_audience", help="New audience of token requests.")
@click.option("--profile", type=click.Choice(list(PROFILES)), help="New kind of platform.")
@click.option("--old-roles/--no-old-roles", default=None, help="Take institution roles as course roles, or not.")
@json_option
def change(platform_id: int, deployment_ids: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Correct a platform's addresses or add deployments; what is not given stays."""
    values = {name: value for name, value in given.items() if value is not None}
    with open_house() as house:
        _check_addresses(house, values)
        with house.database.write() as connection:
            registration.change(connection, platform_id, values, deployment_ids, actor="cli", now=house.clock())
            row = _row(registration.load(connection, platform_id))
        print_fields(row, as_json)


@platform.command()
@platform_id
@json_option
def disable(platform_id: int, as_json: bool) -> None:
    """Refuse launches from a platform and end its sessions. Nothing is deleted."""
    _set_status(platform_id, "disabled", as_json)


@platform.command()
@platform_id
@json_option
def enable(platform_id: int, as_json: bool) -> None:
    """Let a disabled platform launch again."""
    _set_status(platform_id, "active", as_json)


def _set_status(platform_id: int, status: str, as_json: bool) -> None:
    with open_house() as house, house.database.write() as connection:
        registration.set_status(connection, platform_id, status, actor="cli", now=house.clock())
        print_fields(_row(registration.load(connection, platform_id)), as_json)


def _check_addresses(house: House, given: dict[str, Any]) -> None:
    for name in registration.ADDRESSES:
        if name in given:
            house.http.check_url(given[name])


def _row(each: Registration) -> dict[str, Any]:
    return {
        "id": each.id,
        "issuer": each.issuer,
        "client_id": each.client_id,
        "deployment_ids": sorted(each.deployment_ids),
        "auth_login_url": each.auth_login_url,
        "token_url": each.token_url,
        "key_set_url": each.key_set_url,
        "audience": each.token_audience,
        "profile": each.profile.name,
        "old_roles": each.old_roles,
        "status": each.status,
    }


def _own_addresses(house: House) -> dict[str, str]:
    """What is entered on the platform's side."""
    base = house.settings.public_url
    return {
        "tool_login_url": base + LOGIN_PATH,
        "tool_launch_url": base + LAUNCH_PATH,
        "tool_key_set_url": f"{base}/lti/jwks.json",
    }
