"""One credit claim, decided: the checklist of ce.md E1 for a (learner, live session, body).

PURE. A claim pays the full credits of the offering or nothing (E1.9), and never in advance of a licence (E1.3).
"""

from decimal import Decimal

from lti_tool.grades import claim_lines as line
from lti_tool.grades.checklist import Checklist, ClaimCase, Licence
from lti_tool.programme.model import CreditPolicy, Programme


def decide_claim(programme: Programme, case: ClaimCase) -> Checklist:
    """Decide one claim under the programme version stamped on the session. Asking again gives the same answer."""
    body = programme.bodies.get(case.body_id)
    policy = body.policy if body is not None and _is_complete(body.policy) else None
    credits = _credits(programme, case)
    licence = _best_licence(programme, case)
    contact = _contact(programme)
    lines = (
        line.offering(body, policy, credits, case),
        line.matrix(programme, licence, case),
        line.licence(licence, case),
        line.identity(licence),
        line.fee(policy, case.fee, contact),
        line.attendance(policy, case),
        line.participation(policy, case),
        line.evidence(programme, case),
        line.evaluation(policy, case.evaluation),
        line.duplicate(case),
    )
    return Checklist(tuple(each for each in lines if each is not None), credits, licence)


def _is_complete(policy: CreditPolicy | None) -> bool:
    """An empty limit must be set before credit can be offered (ce.md §3)."""
    return policy is not None and None not in (
        policy.late_arrival_minutes,
        policy.max_missed_total_minutes,
        policy.max_missed_consecutive_minutes,
    )


def _credits(programme: Programme, case: ClaimCase) -> Decimal | None:
    module = programme.modules.get(case.module_id)
    return module.credits.get(case.body_id) if module is not None else None


def _contact(programme: Programme) -> str:
    contact = programme.contacts.get("credits")
    return f" Write to {contact.address}." if contact is not None and contact.address else ""


def _best_licence(programme: Programme, case: ClaimCase) -> Licence | None:
    """Of several licences the one that carries this claim furthest."""

    def merit(licence: Licence) -> tuple[bool, bool, bool, int]:
        row = line.document_row(programme.document_matrix, licence.type, licence.jurisdiction)
        names_body = row is not None and row.body == case.body_id and row.decided
        return names_body, licence.covers(case.held_on), licence.status == "active", licence.id

    return max(case.licences, key=merit, default=None)
