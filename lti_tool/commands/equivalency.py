"""`gatehouse equivalency`: requests that training elsewhere stands for a module or retreat."""

from datetime import date
from typing import Any

import click

from lti_tool import people
from lti_tool.commands.console import DAY, json_option, open_context, print_fields, print_rows
from lti_tool.gates import equivalency as requests
from lti_tool.programme import versions

request_id = click.argument("request_id", type=int)
SHOWN = (
    "id", "trainee_id", "target", "provider_name", "course_title", "completed_on", "state", "submitted_at",
    "reason_code", "decision_text", "expires_on",
)  # fmt: skip


@click.group()
def equivalency() -> None:
    """Review requests that training elsewhere stands for a module or retreat.

    An approval opens gates. It is never attendance, a completion, credit or a grade.
    """


@equivalency.command("list")
@click.option("--trainee", help="All requests of this trainee (id or e-mail), not only those that wait for review.")
@json_option
def list_requests(trainee: str | None, as_json: bool) -> None:
    """List the requests that wait for review, oldest first."""
    with open_context() as context, context.database.read() as connection:
        if trainee is None:
            rows = requests.queue(connection)
        else:
            rows = requests.of_trainee(connection, people.find(connection, trainee))
    print_rows(rows, as_json, SHOWN)


@equivalency.command()
@click.option("--trainee", required=True, help="The trainee's id or e-mail address.")
@click.option("--target", required=True, help="The module or retreat it should stand for, such as F1.")
@click.option("--provider", "provider_id", required=True, help="The provider's id in the programme, such as prati.")
@click.option("--provider-name", help="Who gave the training, where the provider is a general one.")
@click.option("--title", "course_title", required=True, help="The title of the training.")
@click.option("--completed-on", type=DAY, help="When it was completed.")
@click.option(
    "--evidence", "evidence_note", required=True, help="What shows it: a certificate, a transcript, a letter."
)
@click.option("--full-review", "as_full_review", is_flag=True, help="Ask although the provider is not accepted.")
@json_option
def submit(trainee: str, as_json: bool, **given: Any) -> None:
    """File a request for a trainee. It waits for review like any other."""
    with open_context() as context, context.database.write() as connection:
        programme = versions.current(connection).programme
        trainee_id = people.find(connection, trainee)
        made = requests.submit(connection, programme, trainee_id=trainee_id, actor="cli", now=context.clock(), **given)
        row = requests.load(connection, made)
    print_fields(row, as_json, SHOWN)


@equivalency.command()
@request_id
@click.option("--reason-code", type=click.Choice(requests.APPROVAL_REASONS), default="equivalent_outside",
              show_default=True, help="The ground of the approval.")  # fmt: skip
@click.option("--text", default="", help="A text for the learner.")
@click.option("--until", "expires_on", type=DAY, help="The last day it counts.  [default: it does not end]")
@json_option
def approve(request_id: int, reason_code: str, text: str, expires_on: date | None, as_json: bool) -> None:
    """Accept a request: the gates that ask for it open at once."""
    with open_context() as context, context.database.write() as connection:
        requests.approve(
            connection, request_id, reason_code=reason_code, text=text, expires_on=expires_on, actor="cli",
            now=context.clock(),
        )  # fmt: skip
        row = requests.load(connection, request_id)
    print_fields(row, as_json, SHOWN)


@equivalency.command()
@request_id
@click.option("--reason-code", type=click.Choice(requests.DECLINE_REASONS), default="not_equivalent",
              show_default=True, help="Why it is declined.")  # fmt: skip
@click.option("--text", required=True, help="What the learner is told to do instead.")
@json_option
def decline(request_id: int, reason_code: str, text: str, as_json: bool) -> None:
    """Refuse a request, with a text that says what to do instead."""
    with open_context() as context, context.database.write() as connection:
        requests.decline(connection, request_id, reason_code=reason_code, text=text, actor="cli", now=context.clock())
        row = requests.load(connection, request_id)
    print_fields(row, as_json, SHOWN)
