"""The pages row: server time of pages on a database that is full, how it grows, and the webhook meanwhile.

The database grows in place: a hundred, a thousand, ten thousand and a hundred thousand trainees with ten scores each,
and two hundred live sessions (benchmarks/full_database.py). One client asks for one page at a time.
"""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.client import HTTPConnection
from itertools import chain, repeat
from urllib.parse import urlencode

from benchmarks import full_database
from benchmarks.figures import Figure, Spread, at_most, percentile, progress, spread
from benchmarks.installation import Bench, Installation, installed
from benchmarks.load import Answer, Run, get, keep_busy
from benchmarks.platform import INSTRUCTOR, LEARNER, Platform, cookies
from benchmarks.webhooks import CLIENTS, deliveries, p99_milliseconds
from lti_tool import people, rights
from lti_tool.context import build_context
from lti_tool.db import Database
from lti_tool.settings import load_settings

ROW = "pages"
SIZES = (100, 1000, 10_000, 100_000)
# At this size the webhook is measured while pages are opened.
FULL = 10_000
VISITS = 40
SECONDS_A_PAGE = 1.0
# A page whose p95 is over this at one size is not asked for at the next, where it may not answer at all.
SLOW_MILLISECONDS = 1500.0
LAUNCHES = 40
READERS = 4
WEBHOOK_SECONDS = 5.0
MODULE = "F2"
TRAINEE, STAFF = 7, 999_999

OF_TRAINEE = {"trainee: home": "/", "trainee: module": f"/modules/{MODULE}"}
OF_STAFF = {
    "staff: overview": "/desk",
    "staff: people": "/desk/people",
    "staff: sessions": "/desk/sessions",
    "staff: log": "/desk/settings/log",
    "staff: unmatched": "/desk/unmatched",
    "staff: scores": "/desk/scores",
    "staff: equivalencies": "/desk/equivalencies",
}


def measure(bench: Bench) -> Iterator[Figure]:
    with installed(bench, ROW) as installations:
        for each in installations:
            yield from _growth(each, bench.platform)


def _growth(installation: Installation, platform: Platform) -> Iterator[Figure]:
    where, filled = installation.name, 0
    slow: set[str] = set()
    context = build_context(load_settings(dict(installation.environment)))
    full_database.lay_out(context.database, datetime.now(UTC))
    _let_staff_do_everything(context.database, platform)
    for size in SIZES:
        progress(f"pages: {where}, filling up to {size:,} trainees")
        full_database.add_people(context.database, filled, size, datetime.now(UTC))
        filled = size
        requests = _requests(installation, platform)
        for name, request in requests.items():
            progress(f"pages: {where}, {size:,} trainees, {name}")
            if name in slow:
                yield Figure(ROW, f"{name}, p95", where, size=size, note="not asked")
                continue
            p95 = _p95(installation, request)
            slow |= {name} if p95.median > SLOW_MILLISECONDS else set()
            yield Figure(ROW, f"{name}, p95", where, p95, "ms", size=size)
        known = _known_launches(installation, platform)
        yield Figure(ROW, "login + launch of known people, p95", where, known, "ms", size=size)
        if size == FULL:
            progress(f"pages: {where}, the webhook while pages are opened")
            yield from _webhook_meanwhile(installation, list(requests.values()))
    context.database.close()


def _let_staff_do_everything(database: Database, platform: Platform) -> None:
    """A teacher without a role sees one course only."""
    now = datetime.now(UTC)
    with database.write() as connection:
        trainee_id = people.find_or_add(connection, platform.issuer, f"user-{STAFF}", name=None, email=None, now=now)
        for role in (rights.PROGRAMME_ADMIN, rights.PLATFORM_ADMIN):
            rights.grant(connection, trainee_id, role, reason="Measures.", actor="cli", now=now)


def _p95(installation: Installation, request: bytes) -> Spread:
    """The first answer warms up and is not kept."""
    keep_busy(installation.server.port, [request], 1)
    run = keep_busy(installation.server.port, [request] * VISITS, 1, within=SECONDS_A_PAGE)
    _expect(run, 200)
    return _milliseconds(run)


def _milliseconds(run: Run) -> Spread:
    """The 95th percentile, between the median and the slowest."""
    seconds = [1000 * answer.seconds for answer in run.answers]
    return Spread(percentile(seconds, 0.95), percentile(seconds, 0.5), max(seconds))


def _requests(installation: Installation, platform: Platform) -> Mapping[str, bytes]:
    """A request for every page, with the cookies of a trainee and of staff who have just launched."""
    trainee = {"Cookie": cookies(_launched(installation, platform, TRAINEE, LEARNER))}
    staff = {"Cookie": cookies(_launched(installation, platform, STAFF, INSTRUCTOR))}
    pages = {name: get(path, trainee) for name, path in OF_TRAINEE.items()}
    pages |= {"trainee: calendar feed": get(_calendar(installation, trainee))}
    return pages | {name: get(path, staff) for name, path in OF_STAFF.items()}


def _launched(installation: Installation, platform: Platform, person: int, role: str) -> Answer:
    port, public_url = installation.server.port, installation.public_url
    login = keep_busy(port, [platform.login(public_url, person)], 1)
    launch = keep_busy(port, [platform.launch(public_url, MODULE, person, login.answers[0], role)], 1)
    _expect(launch, 303)
    return launch.answers[0]


def _calendar(installation: Installation, headers: Mapping[str, str]) -> str:
    """The path of this person's calendar feed, as the page shows it when the address is made."""
    connection = HTTPConnection("127.0.0.1", installation.server.port)
    connection.request("GET", "/calendar", headers=dict(headers))
    form = re.search(r'name="csrf" value="([^"]+)"', connection.getresponse().read().decode())
    assert form is not None
    sent = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/calendar", urlencode({"csrf": form[1]}), sent)
    found = re.search(r"/calendar/[^\"/]+\.ics", connection.getresponse().read().decode())
    connection.close()
    assert found is not None
    return found[0]


def _known_launches(installation: Installation, platform: Platform) -> Spread:
    """Login and launch of people who have launched the same unit before, one at a time."""
    people = range(LAUNCHES)
    for _ in range(2):
        port, public_url = installation.server.port, installation.public_url
        logins = keep_busy(port, [platform.login(public_url, person) for person in people], 1)
        asked = zip(people, logins.answers, strict=True)
        requests = [platform.launch(public_url, MODULE, person, login) for person, login in asked]
        launches = keep_busy(port, requests, 1)
        _expect(launches, 303)
    pairs = zip(logins.answers, launches.answers, strict=True)
    return _milliseconds(Run([*(_both(login, launch) for login, launch in pairs)], logins.seconds + launches.seconds))


def _both(login: Answer, launch: Answer) -> Answer:
    return Answer(launch.index, launch.status, launch.head, login.seconds + launch.seconds)


def _webhook_meanwhile(installation: Installation, pages: list[bytes]) -> Iterator[Figure]:
    """Deliveries alone, and while readers open one page after the other."""
    port, where = installation.server.port, installation.name
    alone = keep_busy(port, deliveries(20_000), CLIENTS, within=WEBHOOK_SECONDS)
    endless = [*chain.from_iterable(repeat(pages, 2000))]
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(keep_busy, port, endless, READERS, WEBHOOK_SECONDS)
        meanwhile = keep_busy(port, deliveries(20_000), CLIENTS, within=WEBHOOK_SECONDS)
    for says, run in (("alone", alone), (f"while {READERS} readers open pages", meanwhile)):
        _expect(run, 204)
        p99 = spread([p99_milliseconds(run)])
        yield Figure(ROW, f"webhook p99 at {CLIENTS} clients, {says}", where, p99, "ms", at_most(50))
        yield Figure(ROW, f"webhook deliveries, {says}", where, spread([run.rate]), "/s")
    yield Figure(ROW, "pages opened meanwhile", where, spread([opened.result().rate]), "/s")


def _expect(run: Run, status: int) -> None:
    if run.statuses() != {status}:
        raise RuntimeError(f"answered {sorted(run.statuses())} instead of {status}")
