"""Credit claims as pages show them: the checklist, its state, and what was awarded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from lti_tool.grades import awards, claims
from lti_tool.grades.claim_lines import body_name
from lti_tool.programme.model import Programme


@dataclass(frozen=True, slots=True)
class ShownClaim:
    """One claim; `checklist` holds its lines as JSON, `credits` what this session earned, if anything."""

    id: int
    session_id: int
    body_name: str
    state: str
    credits: Decimal | None
    checklist: Sequence[Mapping[str, Any]]


def of_session(connection: Connection, programme: Programme, trainee_id: int, session_id: int) -> list[ShownClaim]:
    """The claims of one person in one session, one for each credit body."""
    rows = claims.of_trainee(connection, trainee_id, session_id)
    module_id = rows[0].module_id if rows else ""
    awarded = {
        row.body_id: row.credits
        for row in awards.in_force(connection, trainee_id, module_id)
        if row.live_session_id == session_id
    }
    return [
        ShownClaim(
            id=row.id,
            session_id=session_id,
            body_name=body_name(programme.bodies.get(row.body_id), row.body_id),
            state=row.state,
            credits=awarded.get(row.body_id),
            checklist=row.checklist,
        )
        for row in rows
    ]
