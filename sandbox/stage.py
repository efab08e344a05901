"""The stage: the tool, a genuine Open edX LTI consumer and the Zoom player, each its own process on loopback.

The demo, the check of the demo, the story tests and the chaos tests all stand on it. The LMS is addressed by the name
`localhost` and the tool by `127.0.0.1`, so a browser sees two sites and the tool's frame is third-party, as at a
real site.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import requests
from click.testing import CliRunner
from cryptography.fernet import Fernet
from sqlalchemy import func, or_, select

from lti_tool.commands import main
from lti_tool.db import Database
from lti_tool.settings import load_settings
from lti_tool.tables.operations import tasks
from lti_tool.tables.scores import scores
from lti_tool.tables.zoom import zoom_inbox
from sandbox.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
PACIFIC = ZoneInfo("America/Los_Angeles")
READY_SECONDS = 120.0
STOP_SECONDS = 120.0
# A worker that was killed leaves its task leased for a minute; only after that does another one take it.
WORK_SECONDS = 240.0
PLAYED_MEETING = "86400001001"
# What the staff of the sandbox may do in the tool.
STAFF_ROLES = {"ida": ("programme_admin", "platform_admin"), "stellan": ("coordinator", "registrar")}
ZOOM_CREDENTIALS = ("account_id", "client_id", "client_secret", "app_id")
# More people, and what the first page of the demo says of everybody.
DEMO = ROOT / "sandbox" / "openedx" / "demo.yaml"
LATER_MEETINGS = (("F1", 9, "86400001002"), ("F1", 30, "86400001003"), ("F2", 16, "86400002001"))


class StageError(Exception):
    """Something on the stage did not come up; the text names what and where its log is."""


@dataclass
class Actor:
    """One program of the stage, with its log file. All processes that it starts are of its group and end with it."""

    name: str
    command: list[str]
    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def wait_until_ready(self, url: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                raise StageError(f"{self.name} ended at its start; see {self.log}\n{self.last_words()}")
            if _answers(url):
                return
            time.sleep(0.05)
        raise StageError(f"{self.name} did not answer at {url}; see {self.log}\n{self.last_words()}")

    def kill(self) -> None:
        """End the whole group at once, as a power cut does."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        """Ask it to end, and leave nothing of it behind. Raises StageError when it does not end by itself."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise StageError(f"{self.name} did not end when it was asked to; see {self.log}") from None
        finally:
            self.kill()

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:]) if self.log.exists() else ""


def _answers(url: str) -> bool:
    try:
        with requests.Session() as plain:
            plain.trust_env = False
            return plain.get(url, timeout=(1, 5)).status_code == 200
    except requests.RequestException:
        return False


def run_gatehouse(environment: Mapping[str, str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command that runs in this process, with these settings and no
    others: a process of its own would load the program anew each time. One command at a time, since it has the standard
    streams of the process meanwhile."""
    given = {**os.environ, **environment}
    settings = {name: environment.get(name) for name in given if name.startswith("GATEHOUSE_")}
    done = CliRunner().invoke(main, words, env=settings, prog_name="gatehouse")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def wait_for_all_work(environment: Mapping[str, str]) -> None:
    """Wait until the tool with these settings has read its inbox, has no task due, in hand or to be tried again, and
    has delivered its scores. Raises StageError when that takes too long."""
    settings = load_settings(environment)
    database = Database(settings.database_url, settings.cipher)
    deadline = time.monotonic() + WORK_SECONDS
    try:
        while any(left := _work_left(database)):
            if time.monotonic() > deadline:
                raise StageError("still unread, due and undelivered: {}, {} and {}".format(*left))
            time.sleep(0.1)
    finally:
        database.close()


def _work_left(database: Database) -> tuple[int, int, int]:
    """Unread deliveries, unfinished tasks, undelivered scores: in one statement, so that nothing moves on between."""
    started = or_(tasks.c.run_at <= datetime.now(UTC), tasks.c.attempts > 0)
    rest = (
        select(func.count()).select_from(zoom_inbox).where(zoom_inbox.c.taken_at.is_(None)),
        select(func.count()).select_from(tasks).where(tasks.c.state == "ready", started),
        select(func.count()).select_from(scores).where(scores.c.status == "waiting"),
    )
    with database.read() as connection:
        deliveries, unfinished, undelivered = connection.execute(
            select(*(each.scalar_subquery() for each in rest))
        ).one()
    return deliveries, unfinished, undelivered


@dataclass
class Stage:
    """Everything the story needs, started in order and stopped in reverse.

    `folder` keeps databases and logs; `sandbox_python` is the interpreter of the sandbox LMS's own
    virtual environment. With `database_url` empty the tool runs on SQLite. The played day was `days_ago`, so Zoom's
    report of it is due, and the session can be reconciled. `zone` is where the programme is taught. `with_demo` adds
    the people and the table of the demo's first page, and a mail server.
    """

    folder: Path
    sandbox_python: Path
    database_url: str = ""
    ports: tuple[int, int, int, int] = (0, 0, 0, 0)
    split_worker: bool = False
    with_demo: bool = False
    zone: str = PACIFIC.key
    days_ago: int = 1
    played_on: date = field(init=False)

    def __post_init__(self) -> None:
        self.played_on = self.today - timedelta(days=self.days_ago)
        self.folder.mkdir(parents=True, exist_ok=True)
        tool, lms, zoom, mail = (free_port(wanted) for wanted in self.ports)
        self.smtp_port = free_port(0)
        self.tool_url = f"http://127.0.0.1:{tool}"
        self.lms_url = f"http://localhost:{lms}"
        self.zoom_url = f"http://localhost:{zoom}"
        self.mail_url = f"http://localhost:{mail}"
        self.zoom_secret = secrets.token_hex(24)
        self.zoom_credentials = {name: secrets.token_hex(8) for name in ZOOM_CREDENTIALS}
        self.environment = self._environment()
        self.tool = Actor("tool", self._serve_command(tool), self.folder, self.environment)
        self.worker = Actor("worker", [*self._gatehouse_command, "worker"], self.folder, self.environment)
        self.lms = Actor("lms", self._lms_command(lms), self.folder, self._plain_environment())
        self.zoom = Actor("zoom", self._zoom_command(zoom), self.folder, self._plain_environment())
        self.mail = Actor("mail", self._mail_command(mail), self.folder, self._plain_environment())
        self.played_session = 0

    @property
    def today(self) -> date:
        """The day in the programme's zone."""
        return datetime.now(ZoneInfo(self.zone)).date()

    @property
    def actors(self) -> list[Actor]:
        with_worker, with_mail = [self.worker] * self.split_worker, [self.mail] * self.with_demo
        return [self.lms, self.tool, *with_worker, self.zoom, *with_mail]

    def __enter__(self) -> "Stage":
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def open(self) -> None:
        self.lms.start()
        self.zoom.start()
        if self.with_demo:
            self.mail.start()
        self.gatehouse("migrate")
        programme = self.folder / "programme.yaml"
        shipped = (ROOT / "config" / "demo.yaml").read_text(encoding="utf-8")
        programme.write_text(shipped.replace(f"  zone: {PACIFIC.key}", f"  zone: {self.zone}"), encoding="utf-8")
        self.gatehouse("programme", "publish", str(programme))
        self.zoom.wait_until_ready(f"{self.zoom_url}/healthz")
        self.start_tool()
        self.lms.wait_until_ready(f"{self.lms_url}/healthz")
        self._register_platform()
        self._schedule()

    def close(self) -> None:
        with ExitStack() as stack:
            for actor in self.actors:
                stack.callback(actor.stop)

    def start_tool(self) -> None:
        self.tool.start()
        if self.split_worker:
            self.worker.start()
        self.tool.wait_until_ready(f"{self.tool_url}/readyz")

    def gatehouse(self, *words: str, check: bool = True) -> str:
        """Run the command line with the stage's settings; its standard output."""
        code, said, complaint = run_gatehouse(self.environment, *words)
        if check and code != 0:
            raise StageError(f"gatehouse {' '.join(words[:2])} ended with {code}: {complaint.strip()}")
        return said

    def wait_for_all_work(self) -> None:
        """Wait until the tool has done all that follows from what it was told so far."""
        wait_for_all_work(self.environment)

    def gatehouse_json(self, *words: str) -> Any:
        return json.loads(self.gatehouse(*words, "--json"))

    def lms_json(self, path: str) -> Any:
        return self._json(f"{self.lms_url}/sandbox/{path}")

    def zoom_json(self, path: str) -> Any:
        return self._json(f"{self.zoom_url}/{path}")

    def mail_json(self, path: str) -> Any:
        return self._json(f"{self.mail_url}/{path}")

    def _json(self, url: str) -> Any:
        with requests.Session() as plain:
            plain.trust_env = False
            answer = plain.get(url, timeout=(3, 20))
            answer.raise_for_status()
            return answer.json()

    def _register_platform(self) -> None:
        for each in self.lms_json("registrations.json"):
            options = {
                "--issuer": each["issuer"],
                "--client-id": each["client_id"],
                "--deployment-id": each["deployment_id"],
                "--auth-login-url": each["auth_login_url"],
                "--token-url": each["token_url"],
                "--key-set-url": each["key_set_url"],
                "--profile": "openedx",
            }
            self.gatehouse("platform", "add", *(word for pair in options.items() for word in pair))
        self._grant_roles(each["issuer"])

    def _grant_roles(self, issuer: str) -> None:
        """Before they first open the course, since only then nobody waits for it."""
        subs = {each["username"]: each["lti_user_id"] for each in self.lms_json("state.json")["people"]}
        for username, roles in STAFF_ROLES.items():
            for role in roles:
                whose = ("--issuer", issuer, "--sub", subs[username], "--reason", "Runs the training.")
                self.gatehouse("role", "grant", role, *whose)

    def _schedule(self) -> None:
        self.played_session = self.add_session("F1", f"{self.played_on}T09:00", PLAYED_MEETING)
        for module, days, meeting in LATER_MEETINGS:
            self.add_session(module, f"{self.played_on + timedelta(days=days)}T09:00", meeting)

    def add_session(self, module: str, starts: str, meeting: str) -> int:
        """Schedule a live session at this wall time of the programme; its id."""
        link = f"{self.zoom_url}/join/{meeting}"
        words = ("--module", module, "--starts", starts, "--zoom-meeting", meeting, "--join-url", link)
        return int(self.gatehouse_json("session", "add", *words)["id"])

    def _environment(self) -> dict[str, str]:
        return {
            **self._plain_environment(),
            "GATEHOUSE_PUBLIC_URL": self.tool_url,
            "GATEHOUSE_SECRET_KEY": secrets.token_hex(32),
            "GATEHOUSE_FIELD_KEYS": Fernet.generate_key().decode(),
            "GATEHOUSE_DATA": str(self.folder / "tool"),
            "GATEHOUSE_DATABASE_URL": self.database_url,
            "GATEHOUSE_ZOOM_SECRET_TOKENS": self.zoom_secret,
            "GATEHOUSE_ZOOM_API_URL": f"{self.zoom_url}/v2",
            "GATEHOUSE_ZOOM_TOKEN_URL": f"{self.zoom_url}/oauth/token",
            **{f"GATEHOUSE_ZOOM_{name.upper()}": value for name, value in self.zoom_credentials.items()},
            "GATEHOUSE_ALLOW_PRIVATE_ADDRESSES": "1",
            **(self._mail_environment() if self.with_demo else {}),
        }

    def _mail_environment(self) -> dict[str, str]:
        return {
            "GATEHOUSE_SMTP_URL": f"smtp://127.0.0.1:{self.smtp_port}",
            "GATEHOUSE_MAIL_FROM": "training@example.org",
        }

    def _plain_environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
        return {**kept, "PYTHONPATH": str(ROOT), "NO_PROXY": "*", "PYTHONUNBUFFERED": "1"}

    @property
    def _gatehouse_command(self) -> list[str]:
        return [sys.executable, "-m", "lti_tool"]

    def _serve_command(self, port: int) -> list[str]:
        alone = ["--no-worker"] if self.split_worker else []
        return [*self._gatehouse_command, "serve", "--host", "127.0.0.1", "--port", str(port), *alone]

    def _lms_command(self, port: int) -> list[str]:
        options = {
            "--port": str(port),
            "--public-url": self.lms_url,
            "--tool-url": self.tool_url,
            "--data": str(self.folder / "lms"),
            "--extra-link": f"Zoom={self.zoom_url}" if self.with_demo else f"Play the day={self.zoom_url}",
        }
        demo = ["--demo", str(DEMO), "--extra-link", f"Mailbox={self.mail_url}"] if self.with_demo else []
        given = [word for pair in options.items() for word in pair]
        return [str(self.sandbox_python), "-m", "sandbox.openedx", *given, *demo]

    def _mail_command(self, port: int) -> list[str]:
        return [sys.executable, "-m", "sandbox.mail", "--port", str(port), "--smtp-port", str(self.smtp_port)]

    def _zoom_command(self, port: int) -> list[str]:
        options = {
            "--port": str(port),
            "--tool-url": self.tool_url,
            "--secret-token": self.zoom_secret,
            "--state-url": f"{self.lms_url}/sandbox/state.json",
            "--lms": self.lms_url,
            "--meeting": f"{PLAYED_MEETING}=Module 1, {self.played_on.isoformat()}",
            **{f"--{name.replace('_', '-')}": value for name, value in self.zoom_credentials.items()},
        }
        return [sys.executable, "-m", "sandbox.zoom", *(word for pair in options.items() for word in pair)]
