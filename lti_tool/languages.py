"""The language of whoever reads, and the words of its catalogue.

English stands in the code and in the templates. Every other language has a catalogue of messages,
`translations/<language>/LC_MESSAGES/gatehouse.po`, compiled beside it when it changes (`make words`) and read once.
Each web request and each message to a person says in which language it is written; everything else is English.
"""

import gettext as catalogues
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from markupsafe import Markup

# Language → its name in itself. The first is that of the code.
LANGUAGES = {"en": "English", "es": "Español"}
ENGLISH = "en"
DOMAIN = "gatehouse"
FOLDER = Path(__file__).parent / "translations"

# A language tag (BCP 47), also with the underscores that some platforms write: "es", "es-MX", "es_419".
_TAG = re.compile(r"([A-Za-z]{2,3})(?:[-_][A-Za-z0-9]{1,8}){0,4}")

_language: ContextVar[str] = ContextVar("language", default=ENGLISH)


def language() -> str:
    """The language in which is written at the moment."""
    return _language.get()


def choose(language: str) -> None:
    """Write in this language from now on: until the request, or what else has its own context, ends."""
    assert language in LANGUAGES
    _language.set(language)


@contextmanager
def written_in(language: str) -> Iterator[None]:
    """Write in this language within the block."""
    assert language in LANGUAGES
    before = _language.set(language)
    try:
        yield
    finally:
        _language.reset(before)


def known_language(tag: object) -> str | None:
    """The language that a tag such as "es-MX" names; None for one without a catalogue, and for what is no tag."""
    found = _TAG.fullmatch(tag) if isinstance(tag, str) else None
    code = found[1].lower() if found else ""
    return code if code in LANGUAGES else None


def translated(message: str) -> str:
    """A message that is written elsewhere, such as a refusal or what is wrong with a field, without values."""
    return _catalogue(_language.get()).gettext(message) if message else ""


def gettext(message: str, /, **values: Any) -> str:
    """The message in the reader's language, with its values: `gettext("Attendance of %(title)s", title=title)`."""
    text = _catalogue(_language.get()).gettext(message)
    return text % values if values else text


def ngettext(one: str, many: str, number: int, /, **values: Any) -> str:
    """The message for this number, which it may name as %(num)s."""
    return _catalogue(_language.get()).ngettext(one, many, number) % {"num": number, **values}


def pgettext(context: str, message: str, /, **values: Any) -> str:
    """The message where it stands for `context`: one English word may be several words elsewhere."""
    text = _catalogue(_language.get()).pgettext(context, message)
    return text % values if values else text


def N_(message: str) -> str:
    """Mark a message that is made at import time for the catalogue; it is `translated` where it is shown."""
    return message


class HasTemplates(Protocol):
    """A web application with Jinja templates."""

    @property
    def jinja_env(self) -> Any: ...


def lang_of_programme() -> Markup:
    """The attribute of an element that holds the programme's own words, which stay English on every page."""
    return Markup("" if _language.get() == ENGLISH else f' lang="{ENGLISH}"')  # noqa: S704 (constant)


def register(app: HasTemplates) -> None:
    """Let every template of the app write `_("…")` and `{% trans %}`, and say in which language it is written."""
    environment = app.jinja_env
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(
        gettext=lambda message: _catalogue(_language.get()).gettext(message),
        ngettext=lambda one, many, number: _catalogue(_language.get()).ngettext(one, many, number),
        newstyle=True,
        pgettext=lambda context, message: _catalogue(_language.get()).pgettext(context, message),
    )
    environment.filters["translated"] = translated
    environment.globals.update(language=language, lang_of_programme=lang_of_programme, LANGUAGES=LANGUAGES)


@cache
def _catalogue(language: str) -> catalogues.NullTranslations:
    if language == ENGLISH:
        return catalogues.NullTranslations()
    return catalogues.translation(DOMAIN, FOLDER, [language])
