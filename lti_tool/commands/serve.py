"""`gatehouse serve`: the web server, with the worker inside unless told otherwise."""

import logging
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import click
from flask import Flask
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from lti_tool.app import close_app, create_app, prepare
from lti_tool.commands.console import open_context
from lti_tool.context import AppContext, build_context
from lti_tool.errors import BadInput
from lti_tool.log import configuration, configure
from lti_tool.settings import Settings, load_settings
from lti_tool.tasks import Worker, set_aside_what_is_loaded
from lti_tool.web.rsgi import RsgiApplication
from lti_tool.web.session import large_body
from lti_tool.worker import build_worker

log = logging.getLogger(__name__)

# How long requests and tasks in hand may take to finish after SIGTERM.
FINISH_SECONDS = 60

# A connection that has sent half of its head holds a place until then; a body has a limit of its own.
HEADER_MILLISECONDS = 5_000
MAX_CONNECTIONS = 4_096
SPARE_FILES = 512

# How long a thread may compute before another gets its turn. With Python's 5 ms the one thread that commits deliveries
# waits behind the many that answer: durable appends came to 0.8 of the rate that 0.5 ms gives.
SWITCH_SECONDS = 0.0005

STOPS = {signal.SIGINT, signal.SIGTERM}
# How often a process that was told to stop during its start looks whether the server listens to it by now.
HANDLER_SECONDS = 0.01


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", default=8000, show_default=True, help="The port to listen at.")
@click.option("--processes", default=1, show_default=True, help="Web processes; more than one needs PostgreSQL.")
@click.option("--threads", default=8, show_default=True, help="Pages and launches a process answers at once.")
@click.option("--no-worker", is_flag=True, help="Leave background jobs to `gatehouse worker`.")
def serve(host: str, port: int, processes: int, threads: int, no_worker: bool) -> None:
    """Answer browsers, platforms and Zoom, and run background jobs.

    First, a SQLite database is migrated, and GATEHOUSE_PROGRAMME is published if no programme is. After SIGTERM,
    requests and tasks in hand finish.
    """
    settings = load_settings()
    configure(settings.log_level)
    _raise_file_limit()
    with open_context(settings) as context:  # closed before there are processes: no connection survives a fork
        if processes > 1 and context.database.is_sqlite:
            raise BadInput(
                "sqlite_one_process",
                "With SQLite the tool is one process.",
                "Use --threads, or set GATEHOUSE_DATABASE_URL to a PostgreSQL database.",
            )
        prepare(context)
    server = Server(
        target="",
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        workers=processes,
        backlog=MAX_CONNECTIONS,
        backpressure=MAX_CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS),
        respawn_failed_workers=True,
        workers_kill_timeout=FINISH_SECONDS,
        websockets=False,
        log_level=LogLevels.error,
        log_dictconfig=configuration(settings.log_level),
    )
    server.on_startup(lambda: log.info("listening", extra={"count": processes}))
    _pass_on_one_stop()
    server.serve(
        spawn_target=run,
        target_loader=WebProcess(settings, threads, not no_worker),  # type: ignore[arg-type]
        wrap_loader=False,
    )


@dataclass
class WebProcess:
    """What one web process holds. Called inside it, it gives the application; stopped when the server has finished."""

    settings: Settings
    threads: int
    with_worker: bool
    context: AppContext | None = None
    app: Flask | None = None
    server: RsgiApplication | None = None
    worker: Worker | None = None
    thread: threading.Thread | None = None

    def __call__(self) -> RsgiApplication:
        sys.setswitchinterval(SWITCH_SECONDS)
        threading.Thread(target=_leave_with_parent, daemon=True).start()
        self.context = build_context(self.settings)
        self.app = create_app(self.settings, context=self.context)
        if self.with_worker:
            self.worker = build_worker(self.context)
            self.thread = threading.Thread(target=self.worker.run_forever, name="worker")
            self.thread.start()
        set_aside_what_is_loaded()
        self.server = RsgiApplication(
            self.app,
            threads=self.threads,
            body_seconds=self.settings.body_seconds,
            large_body=partial(large_body, self.app),
            least_free_bytes=self.settings.least_free_megabytes * 2**20,
        )
        return self.server

    def stop(self) -> None:
        """Let the task in hand finish, then close everything."""
        if self.worker is not None:
            self.worker.stopping.set()
        if self.thread is not None:
            self.thread.join()
        if self.server is not None:
            self.server.close()
        if self.app is not None:
            close_app(self.app)
        if self.context is not None:
            self.context.database.close()


def run(number: int, name: str, process: WebProcess, *rest: Any) -> None:
    """The main function of a web process: granian's own, then an orderly end."""
    try:
        Server._spawn_rsgi_worker(number, name, process, *rest)
    finally:
        process.stop()


def _raise_file_limit() -> None:
    """Allow as many open files as the system lets this process have: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _pass_on_one_stop() -> None:
    """Hold SIGINT and SIGTERM back in every thread from here on; tell granian of the first one when it listens.

    A handler runs between any two steps of the main thread. During a start it finds the handler of the parent, which
    does nothing here; what it raises is lost inside a destructor; granian's own stops the process for good when it is
    called a second time before the server listens, since its channel holds one message. So none is run: the system
    keeps the signal, also from a fork on, until a thread that does nothing else asks for it.
    """
    before = signal.getsignal(signal.SIGTERM)

    def wait_for_stop() -> None:
        signal.sigwait(STOPS)
        while (handler := signal.getsignal(signal.SIGTERM)) is before:
            time.sleep(HANDLER_SECONDS)
        assert callable(handler)
        handler(signal.SIGTERM, None)

    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    threading.Thread(target=wait_for_stop, name="stop", daemon=True).start()


def _leave_with_parent() -> None:
    """A web process never outlives its parent: another start would make it a second writer on one SQLite file."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
