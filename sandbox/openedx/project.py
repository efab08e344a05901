"""The Django project: settings as edx-platform's LMS would have them, and the order in which things start."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
import yaml
from django.conf import settings
from django.core.management import call_command

from sandbox.openedx import kept_keys, stand_ins
from sandbox.openedx.options import Options

HERE = Path(__file__).parent
SESSION_COOKIE = "openedx_sandbox_session"

APPS = (
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "rest_framework",
    "config_models",
    "lti_consumer",
    "sandbox.openedx",
)

# The tiered cache asks who is signed in, so it comes after authentication. There is no CSRF guard: scripts sign in
# and change units, and nothing here is worth protecting.
MIDDLEWARE = (
    "edx_django_utils.cache.middleware.RequestCacheMiddleware",
    "sandbox.openedx.recording.RecordingMiddleware",
    "sandbox.openedx.cookies.SessionCookieMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "edx_django_utils.cache.middleware.TieredCacheMiddleware",
    "crum.CurrentRequestUserMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
)


class OtherAddresses(Exception):
    """The data folder was made for another issuer or another tool."""


def application(options: Options) -> Callable[..., Any]:
    """Make the WSGI application ready to serve: tables there, people and courses seeded."""
    options.data.mkdir(parents=True, exist_ok=True)
    stand_ins.install()  # before Django: the package asks for some of them while it is imported
    kept_keys.install()
    settings.configure(**django_settings(options))
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    _seed(options)
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def _demo(options: Options) -> dict[str, Any]:
    """More people, and the table of the first page; empty where the sandbox is no demo."""
    if options.demo is None:
        return {}
    found: dict[str, Any] = yaml.safe_load(options.demo.read_text(encoding="utf-8"))
    return found


def django_settings(options: Options) -> dict[str, Any]:
    """The settings, those of edx-platform's names first."""
    return {
        "LMS_ROOT_URL": options.public_url,
        "PLATFORM_NAME": "Open edX sandbox",
        "SERVICE_VARIANT": "lms",
        "LEARNING_MICROFRONTEND_URL": options.public_url,
        "OPENEDX_TELEMETRY": [],
        "USAGE_ID_PATTERN": r"(?P<usage_id>[^/]+)",
        "SANDBOX_TOOL_URL": options.tool_url,
        "SANDBOX_EXTRA_LINKS": options.extra_links,
        "SANDBOX_GUIDE": _demo(options).get("guide", []),
        "SECRET_KEY": hashlib.sha256(str(options.data).encode()).hexdigest(),  # guards nothing: see the package's text
        "ALLOWED_HOSTS": ["localhost", "127.0.0.1", "[::1]", urlsplit(options.public_url).hostname],
        "INSTALLED_APPS": APPS,
        "MIDDLEWARE": MIDDLEWARE,
        "ROOT_URLCONF": "sandbox.openedx.urls",
        "DATABASES": {"default": _database(options.database)},
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "TEMPLATES": [_templates()],
        "SESSION_COOKIE_NAME": SESSION_COOKIE,
        "USE_TZ": True,
        "LOGGING": _logging(),
    }


def _database(file: Path) -> dict[str, Any]:
    """SQLite with one transaction per request, as edx-platform runs on MySQL: a refused score leaves nothing."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": file,
        "ATOMIC_REQUESTS": True,
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",  # a deferred one that starts by reading is refused when it comes to write
            "timeout": 40,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }


def _templates() -> dict[str, Any]:
    return {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": ["django.template.context_processors.request", "sandbox.openedx.shell.top_bar"]
        },
    }


def _logging() -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["console"], "level": "WARNING"},
        "loggers": {"django.request": {"level": "ERROR"}},  # refusals are part of the play
    }


def _seed(options: Options) -> None:
    from sandbox.openedx import seed

    made_for = seed.plant(options.public_url, options.tool_url, _demo(options).get("people", []))
    if made_for != (options.public_url, options.tool_url):
        raise OtherAddresses(
            f"{options.data} belongs to the platform {made_for[0]} with the tool {made_for[1]}; "
            "start with those addresses or name another --data folder"
        )
