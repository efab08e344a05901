"""What a registration is made of, and whether it can be one: given by an administrator, a file or a platform."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from lti_tool.errors import BadInput
from lti_tool.lti.quirks import PROFILES, Profile

ADDRESSES = ("auth_login_url", "token_url", "key_set_url")
LONGEST_TEXT = 255
LONGEST_ADDRESS = 2048
MOST_ORIGINS = 20
OWN_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class NewRegistration:
    """What somebody gives; `profile` is a name in quirks.PROFILES."""

    issuer: str
    client_id: str
    auth_login_url: str
    token_url: str
    key_set_url: str
    token_audience: str | None = None
    profile: str = "generic"
    old_roles: bool = False


@dataclass(frozen=True, slots=True)
class Registration:
    """One platform's registration of this tool. URLs are absolute; `token_audience` None means the token URL.

    `status` is "pending" (it came by itself and waits for staff), "active" or "disabled"; `came_by` is "command",
    "file" or "dynamic"; `service_origins` are origins of its services beside those of its addresses.
    """

    id: int
    issuer: str
    client_id: str
    auth_login_url: str
    token_url: str
    key_set_url: str
    token_audience: str | None
    profile: Profile
    old_roles: bool
    status: str
    deployment_ids: frozenset[str]
    came_by: str = "command"
    service_origins: frozenset[str] = frozenset()

    @property
    def is_active(self) -> bool:
        return self.status == "active"

    @property
    def hosts(self) -> frozenset[str]:
        """The origins that belong to this platform: an access token goes nowhere else (lti.md TK-7)."""
        origins = (origin(url) for url in (self.auth_login_url, self.token_url, self.key_set_url))
        return self.service_origins.union(each for each in origins if each)


def origin(url: str) -> str | None:
    """Scheme, host and port of a web address, in lower case and without the scheme's own port; None for anything
    else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in OWN_PORTS or not parts.hostname:
        return None
    return f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port and port != OWN_PORTS[parts.scheme] else "")


def origins_of(addresses: Collection[str]) -> list[str]:
    """The origins of these web addresses, each once, in order. Raises BadInput `platform_wrong`."""
    found = {origin(each) if _is_readable(each, LONGEST_ADDRESS) else None for each in addresses}
    if len(found) > MOST_ORIGINS:
        raise _wrong(f"A platform has at most {MOST_ORIGINS} more addresses of services.")
    if None in found:
        raise _wrong("Each further address of the platform's services must be an absolute web address.")
    return sorted(each for each in found if each)


def verify(new: NewRegistration, deployment_ids: Collection[str], *, may_lack_deployment: bool = False) -> None:
    """Raises BadInput `platform_wrong` naming what cannot be taken. Whether the addresses may be called at all is
    another question (`Http.check_url`)."""
    for name, text in _texts(new, deployment_ids):
        if not text.strip() or not _is_readable(text, LONGEST_TEXT):
            raise _wrong(f"The {name} must have 1 to {LONGEST_TEXT} characters that can be printed.")
    if not deployment_ids and not may_lack_deployment:
        raise _wrong("At least one deployment id is needed.")
    if new.profile not in PROFILES:
        raise _wrong(f"The profile must be one of {', '.join(PROFILES)}.")
    for name in ADDRESSES:
        url = getattr(new, name)
        if origin(url) is None or not _is_readable(url, LONGEST_ADDRESS):
            raise _wrong(f"The {name.replace('_', ' ')} must be an absolute web address.")


def _texts(new: NewRegistration, deployment_ids: Collection[str]) -> Iterator[tuple[str, str]]:
    yield "issuer", new.issuer
    yield "client id", new.client_id
    if new.token_audience is not None:
        yield "audience", new.token_audience
    for each in deployment_ids:
        yield "deployment id", each


def _is_readable(text: str, longest: int) -> bool:
    return len(text) <= longest and text.isprintable()


def _wrong(message: str) -> BadInput:
    return BadInput("platform_wrong", message, "Copy the values from the platform's LTI 1.3 settings.")
