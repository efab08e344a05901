"""`gatehouse worker`: background jobs in a process of their own."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from lti_tool.commands.console import json_option, open_context, print_fields
from lti_tool.log import configure
from lti_tool.tasks import Worker
from lti_tool.worker import build_worker

log = logging.getLogger(__name__)


@contextmanager
def stopping_on_signals(job_worker: Worker) -> Iterator[None]:
    """While the block runs, SIGTERM and SIGINT ask the worker to stop after the task in hand."""

    def stop(_number: int, _frame: Any) -> None:
        job_worker.stopping.set()

    before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@click.command()
@click.option("--once", is_flag=True, help="Work until nothing is due, then exit.")
@json_option
def worker(once: bool, as_json: bool) -> None:
    """Work off tasks: read Zoom's deliveries, settle sessions, deliver scores.

    `gatehouse serve` has a worker inside; this is for more machines on PostgreSQL, and for a single run. SIGTERM lets
    the task in hand finish.
    """
    with open_context() as context:
        configure(context.settings.log_level)
        job_worker = build_worker(context)
        if once:
            print_fields({"rounds": job_worker.run_once()}, as_json)
            return
        if context.database.is_sqlite:
            click.echo(
                "note: with SQLite, `gatehouse serve` already works off tasks; two processes slow each other.", err=True
            )
        with stopping_on_signals(job_worker):
            log.info("working")
            job_worker.run_forever()
