"""What every page around a unit shows: who is signed in, and the links of the top bar."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

ROLE_NAMES = {
    "learner": "Learner",
    "instructor": "Course instructor",
    "staff": "Course staff",
    "community_ta": "Community TA",
    "global_staff": "Site staff",
}


def top_bar(request: HttpRequest) -> dict[str, Any]:
    """A template context processor."""
    user = getattr(request, "user", None)
    signed_in = user is not None and user.is_authenticated
    return {
        "person": user if signed_in else None,
        "person_role": ROLE_NAMES[user.profile.role] if signed_in else "",
        "extra_links": settings.SANDBOX_EXTRA_LINKS,
    }
