"""`gatehouse keys`: the keys that sign for the tool, and a new key for encrypted fields."""

import click
from cryptography.fernet import Fernet

from lti_tool.commands.console import Columns, json_option, open_context, print_fields, print_rows
from lti_tool.lti.keys import load_keys, make_private_key, rotate, state_of


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
