"""Every table, by subject. Import `metadata` from here: it is whole only once all subjects are loaded."""

from lti_tool.tables import (
    browser_sessions,
    courses,
    credit,
    gates,
    live_sessions,
    mail,
    materials,
    operations,
    people,
    platforms,
    presence,
    programme,
    retreats,
    scores,
    zoom,
)
from lti_tool.tables.types import metadata

__all__ = [
    "browser_sessions",
    "courses",
    "credit",
    "gates",
    "live_sessions",
    "mail",
    "materials",
    "metadata",
    "operations",
    "people",
    "platforms",
    "presence",
    "programme",
    "retreats",
    "scores",
    "zoom",
]
