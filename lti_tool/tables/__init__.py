"""Every table, by subject. Import `metadata` from here: it is whole only once all subjects are loaded."""

from lti_tool.tables import (
    courses,
    credit,
    evidence,
    gates,
    housekeeping,
    live_sessions,
    people,
    platforms,
    presence,
    programme,
    retreats,
    scores,
    visits,
)
from lti_tool.tables.types import metadata

__all__ = [
    "courses",
    "credit",
    "evidence",
    "gates",
    "housekeeping",
    "live_sessions",
    "metadata",
    "people",
    "platforms",
    "presence",
    "programme",
    "retreats",
    "scores",
    "visits",
]
