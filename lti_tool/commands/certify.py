"""`gatehouse certify`: the tests of LTI Advantage, run against this configuration, with an evidence pack."""

import sys
from pathlib import Path
from typing import Any

import click

from lti_tool.commands.console import json_option, print_json
from lti_tool.errors import BadInput
from lti_tool.settings import load_settings

VERDICTS = {True: "pass", False: "FAIL"}


@click.command()
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for the evidence pack; made if missing.",
)
@click.option("--force", is_flag=True, help="Replace an earlier pack in that folder.")
@json_option
@click.pass_context
def certify(ctx: click.Context, out: Path, force: bool, as_json: bool) -> None:
    """Run the 43 tests of LTI Advantage against this configuration and write an evidence pack; exit 1 if one fails.

    The suite is a development tool: run this command in a checkout of the project. The tool runs as under `gatehouse
    serve`: with this site's public address, its secrets and the programme in force (or GATEHOUSE_PROGRAMME). It listens
    on a free port of this machine and is launched from a platform that the suite starts; in this run alone it may call
    private addresses. Its database is a new one that is deleted at the end: the site's own data is not touched, and a
    tool that is running already is not disturbed.

    DIR gets index.html, for reading and printing, and evidence.json. For each test they hold the message that was sent,
    the tool's answer, the tool's requests to the platform, its log lines with their time, and the verdict.
    """
    _find_suite()
    from conformance import certify as suite  # noqa: PLC0415  (not part of the installed package)
    from conformance import pack  # noqa: PLC0415

    def report(result: Any) -> None:
        if as_json:
            return
        click.echo(f"{result.case.number:>2}  {VERDICTS[result.passed]}  {result.case.name}")
        for finding in result.findings:
            if not finding.holds:
                click.echo(f"          not so: {finding.says} (found: {finding.seen})")

    settings = load_settings()
    pack.make_folder(out, force=force)
    evidence = suite.run_tests(settings, report)
    pack.write_pack(out, evidence)
    if as_json:
        print_json(pack.as_json(evidence))
    else:
        passed = f"{evidence.passed} of {len(evidence.results)} tests passed."
        click.echo(f"{passed} Evidence: {out / pack.PAGE} and {out / pack.DATA}")
    ctx.exit(0 if evidence.is_green else 1)


def _find_suite() -> None:
    """Make the suite of a checkout importable: the one this package runs from, or the current folder.

    Raises BadInput `conformance_missing` if neither holds it.
    """
    checkouts = (Path(__file__).parents[2], Path.cwd())
    found = next((each for each in checkouts if (each / "conformance" / "certify.py").is_file()), None)
    if found is None:
        raise BadInput(
            "conformance_missing",
            "The certification tests are not part of the installed package.",
            "Run this command in a checkout of the project.",
        )
    if str(found) not in sys.path:
        sys.path.append(str(found))
