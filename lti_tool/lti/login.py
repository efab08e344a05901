"""The login that comes before a launch: OpenID Connect third-party initiated login (lti.md §2).

A login writes nothing: `state` is a signed value that carries the registration, both hints and the nonce. A cookie of
its own binds it to the browser, so parallel tabs do not disturb each other and a state that comes back from another
browser is refused (login CSRF).

Where the browser keeps no cookie in the frame, the launch goes on by a ladder of three rungs, best first (lti.md §12):
the login's partitioned cookie; a value that the platform keeps for us in its own page, if it offered that at the login;
the same login once more in a new tab, where cookies are first-party. `next_step` decides on which rung a launch stands.

A nonce is consumed once, by a unique insert: of the browser session that its launch begins (web/session.py), or of the
nonce alone for a message that begins none (lti.md LA-1, LA-7).
"""

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

from sqlalchemy import Connection, delete, select

from lti_tool.db import Database, insert_ignoring
from lti_tool.errors import RefusedLaunch
from lti_tool.languages import gettext
from lti_tool.lti.claims import is_plain_text
from lti_tool.lti.registration import Registration, Registrations, origin
from lti_tool.signing import SignatureExpired, SignatureWrong, digest, load, sign
from lti_tool.tables.browser_sessions import used_nonces

LIFETIME = timedelta(minutes=10)
ANY_COOKIE = "__Host-gatehouse"
COOKIE_PREFIX = f"{ANY_COOKIE}-state-"
LOGIN_PATH, LAUNCH_PATH = "/lti/login", "/lti/launch"
PURPOSE = "state"

REOPEN = "Go back to your course and open this unit again."
CONTINUE = "Continue in a new tab."
ALLOW_COOKIES = "Allow cookies for this site, or use another browser. Then open this unit again from your course."

# No address of ours holds a blank, a control character or a backslash.
TRICKS = re.compile(r"[\x00-\x20\\\x7f]")

# Parameter → its longest value.
REQUIRED = {"iss": 255, "login_hint": 2048, "target_link_uri": 2048}
OPTIONAL = {"client_id": 255, "lti_message_hint": 4096}

# Apache refuses a longer request line than 8,190 bytes, nginx one of 8 KiB (lti.md FR-5).
LONGEST_REDIRECT = 8000

# The frame that keeps things for tools: "_parent", or the name of a frame beside ours.
STORAGE_TARGET = re.compile(r"[A-Za-z0-9_-]{1,64}")

# Nonces are forgotten in batches, this long after their state can no longer come back.
KEPT = timedelta(hours=1)


class Cookie(Enum):
    """What the browser sent back of the cookie that the login set."""

    RIGHT = "right"
    WRONG = "wrong"
    ABSENT = "absent"


class Stored(Enum):
    """What the platform's storage returned: it was not asked yet; it returned nothing (no answer in time, an error, no
    value); a value that is not ours; or the value that the login stored there."""

    UNASKED = "unasked"
    SILENT = "silent"
    WRONG = "wrong"
    RIGHT = "right"


class Step(Enum):
    """What happens to the launch."""

    ENTER = "enter with a session cookie"
    ENTER_WITHOUT_COOKIES = "enter; the session stays in the page's script"
    ASK_PLATFORM = "ask the platform's storage"
    OFFER_TAB = "offer a new tab: no cookies, no storage"
    OFFER_TAB_SILENT = "offer a new tab: the storage gave nothing"
    REFUSE_STORED = "refuse: the storage gave another value; offer a new tab"
    REFUSE_FOREIGN = "refuse: another browser began this, or it was used already"


# The second rung, for a browser that sends no cookie of ours to a platform that offered its storage.
_BY_STORAGE = {
    Stored.UNASKED: Step.ASK_PLATFORM,
    Stored.SILENT: Step.OFFER_TAB_SILENT,
    Stored.WRONG: Step.REFUSE_STORED,
    Stored.RIGHT: Step.ENTER_WITHOUT_COOKIES,
}


def next_step(cookie: Cookie, *, others: bool, offered: bool, stored: Stored) -> Step:
    """The step of a launch. `others`: the browser sends other cookies of ours, so it does keep cookies here.
    `offered`: the platform offered its storage at the login, as our own signed state says."""
    if cookie is Cookie.RIGHT:
        return Step.ENTER
    if cookie is Cookie.WRONG or others:
        return Step.REFUSE_FOREIGN
    # What is said to come from a storage that was not offered counts for nothing.
    return _BY_STORAGE[stored] if offered else Step.OFFER_TAB


@dataclass(frozen=True, slots=True)
class Site:
    """This tool as platforms see it: its origin, and the secret that signs what leaves it."""

    public_url: str
    secret_key: str

    @property
    def redirect_uri(self) -> str:
        """The one registered redirect URI: a fixed address, never the target link (lti.md OIDC-4)."""
        return self.public_url + LAUNCH_PATH

    def is_own(self, url: str) -> bool:
        """Whether an absolute URL points into this tool; spelling tricks do not pass."""
        if TRICKS.search(url):
            return False
        return origin(url) == origin(self.public_url) and "@" not in urlsplit(url).netloc


@dataclass(frozen=True, slots=True)
class State:
    """What a login hands to its launch through the platform. A hint that would make the redirect too long is left out;
    then the login cannot be begun again from here."""

    registration_id: int
    login_hint: str
    message_hint: str | None
    target_link_uri: str
    nonce: str
    expires_at: datetime
    storage_target: str | None = None
    is_hint_left_out: bool = False

    @property
    def cookie(self) -> str:
        """The name of the cookie that binds this state to its browser."""
        return COOKIE_PREFIX + self.nonce[:16]

    @property
    def storage_key(self) -> str:
        """The name under which the platform's storage keeps this state's value."""
        return f"gatehouse-{self.nonce[:16]}"


@dataclass(frozen=True, slots=True)
class Login:
    """A login under way: where the browser goes, the cookie it takes along, and what the platform's storage is asked to
    keep when it offered itself (`state.storage_target`)."""

    state: State
    auth_url: str
    cookie_value: str
    stored_value: str


class NewTab(RefusedLaunch):
    """Nothing is entered here; `again_url` starts the same login afresh, for a new tab."""

    def __init__(self, code: str, message: str, next_step: str, again_url: str, *, status: int = 403) -> None:
        super().__init__(code, message, next_step, status=status)
        self.again_url = again_url


def begin_login(registrations: Registrations, site: Site, given: Mapping[str, str], now: datetime) -> Login:
    """Answer a platform's login request (lti.md OIDC-1 to OIDC-5). `given` are its parameters, by GET or POST.

    Raises RefusedLaunch: `login_incomplete`, `login_wrong`, `target_foreign`, and those of `registration.find`.
    """
    _verify_parameters(given)
    if not site.is_own(given["target_link_uri"]):
        raise target_foreign()
    registration = registrations.find(given["iss"], given.get("client_id"), now)
    expires_at = datetime.fromtimestamp(int((now + LIFETIME).timestamp()), UTC)
    target = given.get("lti_storage_target", "")
    state = State(
        registration_id=registration.id,
        login_hint=given["login_hint"],
        message_hint=given.get("lti_message_hint"),
        target_link_uri=given["target_link_uri"],
        nonce=secrets.token_urlsafe(24),
        expires_at=expires_at,
        # A name that we cannot use counts as none, since cookies may well do.
        storage_target=target if STORAGE_TARGET.fullmatch(target) else None,
    )
    stored_value = _stored_value(site, state) if state.storage_target else ""
    return Login(state, _auth_url(site, registration, state), _cookie_value(site, state), stored_value)


def load_state(site: Site, signed: str, now: datetime) -> State:
    """The state that came back. Raises RefusedLaunch `state_wrong` or `state_expired`."""
    try:
        values = load(site.secret_key, PURPOSE, signed, now=now)
    except SignatureExpired:
        raise RefusedLaunch("state_expired", "This launch took too long to come back.", REOPEN, status=401) from None
    except SignatureWrong:
        raise RefusedLaunch("state_wrong", "This launch was not started here.", REOPEN, status=401) from None
    expires_at = datetime.fromtimestamp(values["exp"], UTC)
    return State(
        registration_id=values["r"],
        login_hint=values["h"],
        message_hint=values["m"],
        target_link_uri=values["t"],
        nonce=values["n"],
        expires_at=expires_at,
        storage_target=values.get("s"),
        is_hint_left_out=values.get("x", False),
    )


def climb(
    site: Site,
    state: State,
    registration: Registration,
    cookies: Mapping[str, str],
    stored: str | None = None,
    sender: str | None = None,
) -> Literal[Step.ENTER, Step.ENTER_WITHOUT_COOKIES, Step.ASK_PLATFORM]:
    """The state must come back from the browser that began the login (lti.md OIDC-6): how that is known, or still
    to be asked.

    `stored` is what the platform's storage gave to a page of ours: empty when it gave nothing, None when it has not
    been asked. It counts only when `sender`, the page's origin as the browser tells it, is our own. Raises NewTab
    `cookie_missing`, `storage_silent` or `storage_wrong`, or RefusedLaunch `state_foreign`.
    """
    given = cookies.get(state.cookie)
    if given is None:
        cookie = Cookie.ABSENT
    else:
        cookie = Cookie.RIGHT if _is_same(given, _cookie_value(site, state)) else Cookie.WRONG
    step = next_step(
        cookie,
        others=any(name.startswith(ANY_COOKIE) for name in cookies),
        offered=state.storage_target is not None,
        stored=_given_back(site, state, stored, sender),
    )
    if step is Step.ENTER or step is Step.ENTER_WITHOUT_COOKIES or step is Step.ASK_PLATFORM:
        return step
    raise _refusal(step, None if state.is_hint_left_out else _again_url(state, registration))


def target_foreign() -> RefusedLaunch:
    return RefusedLaunch(
        "target_foreign",
        "The learning platform asked for a page that is not part of this tool.",
        "Tell the people who run the course: the unit's launch URL (target link) does not belong to Gatehouse.",
    )


def _given_back(site: Site, state: State, given: str | None, sender: str | None) -> Stored:
    if given is None:
        return Stored.UNASKED
    if not given:
        return Stored.SILENT
    by_our_page = sender is not None and site.is_own(sender)
    return Stored.RIGHT if by_our_page and _is_same(given, _stored_value(site, state)) else Stored.WRONG


def _is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _refusal(step: Step, again_url: str | None) -> RefusedLaunch:
    if step is Step.OFFER_TAB:
        message = "Your browser does not let this page keep you signed in inside the course page."
        return _in_new_tab("cookie_missing", message, again_url)
    if step is Step.OFFER_TAB_SILENT:
        message = "Your browser does not let this page keep you signed in, and the course page gave no answer in time."
        return _in_new_tab("storage_silent", message, again_url)
    if step is Step.REFUSE_STORED:
        message = "What the course page kept for this launch is not what we left there, so nothing was opened."
        return _in_new_tab("storage_wrong", message, again_url, status=401)
    message = "This launch was started in another browser, or has been used already."
    return RefusedLaunch("state_foreign", message, REOPEN, status=401)


def _in_new_tab(code: str, message: str, again_url: str | None, *, status: int = 403) -> RefusedLaunch:
    """Offers a new tab. With `again_url` None the login cannot be begun again from here, so the person must allow
    cookies."""
    if again_url is None:
        return RefusedLaunch(code, message, ALLOW_COOKIES, status=status)
    return NewTab(code, message, CONTINUE, again_url, status=status)


def _verify_parameters(given: Mapping[str, str]) -> None:
    missing = [name for name in REQUIRED if not given.get(name)]
    if missing:
        raise RefusedLaunch(
            "login_incomplete",
            gettext("The learning platform's login request lacks %(names)s.", names=", ".join(missing)),
            "Open the unit from your course. This address is meant for the platform, not for a bookmark.",
        )
    wrong = [name for name, longest in (REQUIRED | OPTIONAL).items() if not is_plain_text(given.get(name, ""), longest)]
    if wrong:
        raise RefusedLaunch(
            "login_wrong",
            gettext(
                "The learning platform's login request holds a value that cannot be read: %(names)s.",
                names=", ".join(wrong),
            ),
            "Tell the people who run the course: the platform sends something this tool cannot read.",
        )


def _auth_url(site: Site, registration: Registration, state: State) -> str:
    """The redirect of lti.md OIDC-3; both hints byte for byte. The state repeats the message hint only as far as a web
    server takes the whole address (lti.md FR-5)."""
    values: dict[str, Any] = {
        "r": state.registration_id,
        "h": state.login_hint,
        "m": state.message_hint,
        "t": state.target_link_uri,
        "n": state.nonce,
    }
    if state.storage_target is not None:
        values["s"] = state.storage_target
    parameters = {
        "scope": "openid",
        "response_type": "id_token",
        "response_mode": "form_post",
        "prompt": "none",
        "client_id": registration.client_id,
        "redirect_uri": site.redirect_uri,
        "login_hint": state.login_hint,
        "state": sign(site.secret_key, PURPOSE, values, expires_at=state.expires_at),
        "nonce": state.nonce,
    }
    if state.message_hint is not None:
        parameters["lti_message_hint"] = state.message_hint
    joint = "&" if "?" in registration.auth_login_url else "?"
    url = registration.auth_login_url + joint + urlencode(parameters)
    if len(url) > LONGEST_REDIRECT and state.message_hint is not None:
        values |= {"m": None, "x": True}
        parameters["state"] = sign(site.secret_key, PURPOSE, values, expires_at=state.expires_at)
        url = registration.auth_login_url + joint + urlencode(parameters)
    return url


def _again_url(state: State, registration: Registration) -> str:
    parameters = {
        "iss": registration.issuer,
        "client_id": registration.client_id,
        "login_hint": state.login_hint,
        "target_link_uri": state.target_link_uri,
    }
    if state.message_hint is not None:
        parameters["lti_message_hint"] = state.message_hint
    return f"{LOGIN_PATH}?{urlencode(parameters)}"


def _cookie_value(site: Site, state: State) -> str:
    return digest(site.secret_key, "state cookie", state.nonce)


def _stored_value(site: Site, state: State) -> str:
    """Another value than the cookie's: scripts and the platform get to see this one, and it stands for no cookie."""
    return digest(site.secret_key, "state in platform storage", state.nonce)


def use(connection: Connection, nonce: str, expires_at: datetime) -> None:
    """Consume the nonce of a message that begins no session; of two at once one wins. Raises RefusedLaunch
    `nonce_used`."""
    row = {"nonce": nonce, "expires_at": expires_at}
    result = connection.execute(insert_ignoring(connection, used_nonces), row)
    if not result.rowcount:
        raise nonce_used()


def nonce_used() -> RefusedLaunch:
    return RefusedLaunch("nonce_used", "This launch was used already.", REOPEN, status=401)


def forget_nonces(database: Database, now: datetime) -> bool:
    """Periodic job: drop nonces whose state has expired for good. Never more to do."""
    over = used_nonces.c.expires_at < now - KEPT
    with database.read() as connection:
        if connection.execute(select(used_nonces.c.nonce).where(over).limit(1)).first() is None:
            return False
    with database.write() as connection:
        connection.execute(delete(used_nonces).where(used_nonces.c.expires_at < now))
    return False
