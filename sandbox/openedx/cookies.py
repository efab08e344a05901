"""The LMS cookie, as Open edX sites set it for LTI: usable when the tool's page posts back from another site."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse


class SessionCookieMiddleware:
    """Mark the session cookie `SameSite=None; Secure` for browsers that take such a cookie from this address.

    Browsers send `Sec-Fetch-Site` only to addresses they hold for safe (https, and http on a loopback name), and
    only there do they accept a Secure cookie. Scripts send no such header and get a plain cookie they can return.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
        if cookie is not None and "Sec-Fetch-Site" in request.headers:
            cookie["samesite"] = "None"
            cookie["secure"] = True
        return response
