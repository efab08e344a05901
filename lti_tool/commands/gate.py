"""`gatehouse gate`, `completions` and `equivalency`: why a gate is open or shut, and the records that decide it."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Any, BinaryIO

import click

from lti_tool import people
from lti_tool.commands.console import (
    DAY,
    INSTANT,
    Columns,
    json_option,
    listed,
    open_context,
    print_fields,
    print_json,
    print_rows,
    trainee_option,
)
from lti_tool.errors import NotFound
from lti_tool.gates import completions as completion_records
from lti_tool.gates import decide, exceptions
from lti_tool.gates import equivalency as requests
from lti_tool.gates.completion_import import MAX_BYTES, import_csv
from lti_tool.gates.decision import Decision, Node
from lti_tool.gates.wording import gate_in_words, heading, learner_sentence, staff_sentence
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.retreats.applications import next_date
from lti_tool.times import day_of

module_option = click.option("--module", "offering", required=True, help="The module's or retreat's id, such as F2.")


@click.group()
def gate() -> None:
    """Explain gates, and open them for single people by a recorded exception."""


@gate.command()
@trainee_option
@module_option
@click.option("--at", type=INSTANT, help="The moment to decide for, by what was recorded until then.  [default: now]")
@click.option("--starts-on", type=DAY, help="First day of the retreat or session.  [default: the retreat's next date]")
@json_option
def explain(trainee: str, offering: str, at: datetime | None, starts_on: date | None, as_json: bool) -> None:
    """Say whether a gate is open for a trainee, and what each of its conditions found.

    Nothing is written. With --at, a past moment is explained by the facts of that time.
    """
    with open_context() as context, context.database.read() as connection:
        published = versions.current(connection)
        programme, moment = published.programme, at or context.clock()
        if offering not in programme.modules and offering not in programme.retreats:
            known = ", ".join((*programme.modules, *programme.retreats))
            raise NotFound("offering_unknown", "The programme has no such module or retreat.", f"It has: {known}.")
        trainee_id = people.find(connection, trainee)
        retreat = programme.retreats.get(offering)
        next_retreat = next_date(retreat, day_of(moment, programme.zone)) if retreat else None
        start = starts_on or (next_retreat.starts_on if next_retreat else None)
        decision = decide.ask(connection, published, trainee_id, offering, moment, offering_start=start)
    if as_json:
        print_json(explained(decision, programme))
        return
    click.echo(f"{heading(decision, programme)}: {'open' if decision.open else decision.status}")
    click.echo(f"rule: {gate_in_words(programme, decision.offering)} (programme version {decision.programme_version})")
    if decision.exception:
        click.echo(f"open by exception {decision.exception.id} until {decision.exception.expires_on}")
    if decision.tree:
        _print_node(decision.tree, programme, 0)
    if decision.recommended:
        click.echo("recommended, not required:")
        _print_node(decision.recommended, programme, 1)


@gate.command()
@trainee_option
@module_option
@click.option("--reason", required=True, help="Why, in 10 characters or more.")
@click.option("--until", "expires_on", type=DAY, help="The last day.  [default: 90 days from today]")
@json_option
def allow(trainee: str, offering: str, reason: str, expires_on: date | None, as_json: bool) -> None:
    """Open one gate for one person for a while. It is no completion and earns nothing."""
    with open_context() as context, context.database.write() as connection:
        granted = exceptions.grant(
            connection,
            versions.current(connection).programme,
            trainee_id=people.find(connection, trainee),
            offering_id=offering,
            reason=reason,
            expires_on=expires_on,
            actor="cli",
            now=context.clock(),
        )
    print_fields({"exception": granted}, as_json)


@gate.command("end-exception")
@click.argument("exception_id", type=int)
@click.option("--reason", required=True, help="Why it ends.")
@json_option
def end_exception(exception_id: int, reason: str, as_json: bool) -> None:
    """End an exception before its time."""
    with open_context() as context, context.database.write() as connection:
        exceptions.end(connection, exception_id, reason=reason, actor="cli", now=context.clock())
    print_fields({"exception": exception_id, "state": "ended"}, as_json)


@gate.command("exceptions")
@json_option
def list_exceptions(as_json: bool) -> None:
    """List every exception in force, the first to run out first."""
    with open_context() as context, context.database.read() as connection:
        today = day_of(context.clock(), versions.current(connection).programme.zone)
        rows = exceptions.active(connection, today)
    columns = ("id", "trainee_id", "name", "offering_id", "reason", "granted_by", "granted_at", "expires_on")
    print_rows(rows, as_json, columns)


def explained(decision: Decision, programme: Programme) -> dict[str, Any]:
    """The decision as `gate explain --json` prints it; `unmet` holds the conditions that keep the gate shut."""
    return {
        "open": decision.open,
        "heading": heading(decision, programme),
        "unmet": [
            node.to_json()
            | {"sentence": learner_sentence(node, programme), "staff_sentence": staff_sentence(node, programme)}
            for node in decision.unmet()
        ],
        "decision": decision.to_json(),
        "digest": decision.digest,
        "programme_version": decision.programme_version,
    }


def _print_node(node: Node, programme: Programme, depth: int) -> None:
    evidence = f" [{', '.join(node.evidence)}]" if node.evidence else ""
    click.echo(f"{'  ' * depth}{node.status:<9}  {staff_sentence(node, programme)}{evidence}")
    for child in node.children:
        _print_node(child, programme, depth + 1)


COMPLETION = ("id", "trainee_id", "module_id", "completed_on", "origin", "evidence", "recorded_by", "recorded_at")
IMPORTED: Columns = {
    "digest": "digest",
    "committed": "committed",
    "counts": "counts",
    "rows": lambda report: [asdict(row) for row in report.rows],
}


@click.group()
def completions() -> None:
    """List completions and import those from before this tool."""


@completions.command("list")
@click.option("--trainee", help="Only this trainee's (id or e-mail), ended ones too.")
@click.option("--module", help="Only of this module.")
@json_option
def list_completions(trainee: str | None, module: str | None, as_json: bool) -> None:
    """List the completions in force."""
    with open_context() as context, context.database.read() as connection:
        if trainee is None:
            rows = completion_records.in_force(connection, module)
        else:
            rows = completion_records.of_trainee(connection, people.find(connection, trainee), ended=True)
    columns = COMPLETION if trainee is None else (*COMPLETION, "ended_at", "ended_reason")
    print_rows([row for row in rows if module in (None, row.module_id)], as_json, columns)


@completions.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--commit", metavar="DIGEST", help="Write what the preview of this very file showed.")
@json_option
def import_completions(file: BinaryIO, commit: str | None, as_json: bool) -> None:
    """Import past completions from a CSV file, as a spreadsheet saves it.

    Without --commit it only shows what would happen and prints the file's digest; with --commit DIGEST it happens, in
    one transaction. Importing a file twice changes nothing.

    Columns: person_key_type (email, platform_user, external_id), person_key, family_name, given_name, title_as_taken,
    catalogue (current, legacy), module, completed_on, date_precision (day, month, year), origin, evidence_ref, note.
    """
    content = file.read(MAX_BYTES + 1)
    with open_context() as context:
        begun = context.database.read() if commit is None else context.database.write()
        with begun as connection:
            programme = versions.current(connection).programme
            report = import_csv(connection, programme, content, commit=commit, actor="cli", now=context.clock())
    if as_json:
        print_json(listed(report, IMPORTED))
        return
    for row in report.rows:
        if row.outcome not in ("new", "same"):
            click.echo(f"line {row.line}, {row.column}: {row.outcome}: {row.detail}")
    click.echo(", ".join(f"{count} {outcome}" for outcome, count in report.counts.items() if count) or "no rows")
    if report.committed:
        click.echo("Imported.")
    elif report.counts["new"]:
        click.echo(f"Nothing was written. To import: the same command with --commit {report.digest}")


request_id = click.argument("request_id", type=int)
REQUEST = (
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
    print_rows(rows, as_json, REQUEST)


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
    print_fields(row, as_json, REQUEST)


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
    print_fields(row, as_json, REQUEST)


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
    print_fields(row, as_json, REQUEST)
