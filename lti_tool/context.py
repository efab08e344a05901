"""The application context: what web, worker and commands share, put together once per process."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from lti_tool.db import Database
from lti_tool.http import Http
from lti_tool.lti.key_sets import KeySets
from lti_tool.lti.keys import ToolKeys
from lti_tool.lti.platform_api import PlatformApi
from lti_tool.lti.registration import Registrations
from lti_tool.lti.service_log import AnswerBook
from lti_tool.settings import Settings
from lti_tool.tasks import now_utc

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class AppContext:
    """The parts that live as long as the process."""

    settings: Settings
    database: Database
    clock: Clock
    keys: ToolKeys
    http: Http
    platform_api: PlatformApi
    key_sets: KeySets
    registrations: Registrations


def build_context(
    settings: Settings, clock: Clock = now_utc, *, database: Database | None = None, http: Http | None = None
) -> AppContext:
    """Put the parts together. Nothing is read, written or called yet."""
    database = database or Database(settings.database_url, settings.cipher)
    http = http or Http(allow_private_addresses=settings.allow_private_addresses)
    keys, answers = ToolKeys(database, clock), AnswerBook(database, clock)
    return AppContext(
        settings=settings,
        database=database,
        clock=clock,
        keys=keys,
        http=http,
        platform_api=PlatformApi(database, http, keys, clock, answers),
        key_sets=KeySets(http, clock, answers.note),
        registrations=Registrations(database),
    )
