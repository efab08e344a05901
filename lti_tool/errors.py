"""Everything Gatehouse refuses, on one screen.

    GatehouseError                 a stable code, a status, what happened and what to do next
    ├── SettingsError              a setting is missing or wrong; the start stops and names it
    ├── ProgrammeError             a programme document cannot be read or published
    ├── RefusedLaunch              a login or launch that does not stand (LTI, OIDC)
    ├── AccessDenied               no session, or not this role's page
    ├── NotFound                   no such module, session, request …
    ├── BadInput                   a form, file or argument that cannot be taken
    ├── Conflict                   a change that the present state does not allow
    ├── RefusedWebhook             a Zoom delivery that is not Zoom's
    └── OutboundError              a call to another system
        ├── AddressRefused         the address is not one we may call
        ├── NoAnswer               no connection, no answer in time, or an answer too large
        └── PlatformRefused        the other side answered with an error status

A closed gate is not here: it is a value (`gates.evaluate.Decision`). Every code in use is listed in docs/errors.md, and
a test says so.
"""

from datetime import datetime


class GatehouseError(Exception):
    """An expected refusal.

    `code` is stable and made for support and tests; `message` says what happened and `next_step` what to do, both in
    words for the reader of the page. None of the three may hold a name, an address, a token or a body.
    """

    status = 400

    def __init__(self, code: str, message: str, next_step: str = "", *, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.next_step = next_step
        if status is not None:
            self.status = status


class SettingsError(GatehouseError):
    status = 500


class ProgrammeError(GatehouseError):
    pass


class RefusedLaunch(GatehouseError):
    status = 400


class AccessDenied(GatehouseError):
    status = 403


class NotFound(GatehouseError):
    status = 404


class BadInput(GatehouseError):
    status = 422


class Conflict(GatehouseError):
    status = 409


class RefusedWebhook(GatehouseError):
    status = 401


class OutboundError(GatehouseError):
    """`answered` is the HTTP status of the other side, 0 when it was not asked or gave no answer. It wants no request
    before `retry_at` (its `Retry-After`); None: it named no time."""

    status = 502
    answered = 0
    retry_at: datetime | None = None


class AddressRefused(OutboundError):
    pass


class NoAnswer(OutboundError):
    pass


class PlatformRefused(OutboundError):
    def __init__(self, code: str, message: str, *, answered: int) -> None:
        super().__init__(code, message)
        self.answered = answered
