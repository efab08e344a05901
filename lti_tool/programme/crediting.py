"""Reading credit bodies, their policies, the document matrix and the policies of completion and scores."""

from decimal import Decimal

from lti_tool.programme.entry import Entry, amount, count, day, flag, one_of, text, texts
from lti_tool.programme.model import (
    BoardAcceptance,
    CompletionPolicy,
    CreditBody,
    CreditPolicy,
    DocumentRow,
    ScorePolicy,
)

EVIDENCE = one_of(("provisional", "reconciled"))


def read_body(entry: Entry) -> CreditBody:
    return CreditBody(
        id=entry.name,
        legal_name=entry.need("legal_name", text),
        role=entry.need("role", text),
        provider_number=entry.may("provider_number", text),
        jurisdiction=entry.need("jurisdiction", text),
        statement=entry.may("statement", text),
        policy=entry.child("policy", read_policy),
        notice_other_states=entry.may("notice_other_states", text),
        short_name=entry.may("short_name", text),
        also_called=entry.texts("also_called"),
        board=entry.may("board", text),
        address=entry.may("address", text),
        accepted_for=entry.texts("accepted_for"),
        accepted_by=entry.each("accepted_by", _acceptance),
        statement_of_body=entry.may("statement_of_body", text),
        valid_from=entry.may("valid_from", day),
        valid_to=entry.may("valid_to", day),
        signatory=entry.may("signatory", text),
        refs=entry.texts("source"),
    )


def _acceptance(entry: Entry) -> BoardAcceptance:
    return BoardAcceptance(
        board=entry.need("board", text),
        licences=entry.need("licences", texts),
        refs=entry.texts("source"),
    )


def read_policy(entry: Entry) -> CreditPolicy | None:
    """The policy, or None while any of it is UNSET: half a policy measures nothing."""
    unset_before = len(entry.report.unset)
    policy = CreditPolicy(
        minutes_per_credit=_set(entry, "minutes_per_credit"),
        credit_step=entry.may("credit_step", amount) or amount(0),
        late_arrival_minutes=entry.may("late_arrival_minutes", count),
        max_missed_total_minutes=_set(entry, "max_missed_total_minutes"),
        max_missed_consecutive_minutes=_set(entry, "max_missed_consecutive_minutes"),
        reconnect_gap_seconds=entry.some("reconnect_gap_seconds", count, 0),
        evaluation_required=entry.some("evaluation_required", flag, True),
        fee_required=entry.some("fee_required", flag, True),
        phone_only_counts=entry.some("phone_only_counts", flag, False),
        participation_share=_share(entry, "participation_share"),
        evaluation_window_days=entry.may("evaluation_window_days", count),
        issue_by_days=entry.may("issue_by_days", count),
        retention_years=entry.may("retention_years", count),
    )
    if len(entry.report.unset) > unset_before:
        return None
    for key in ("minutes_per_credit", "credit_step"):
        if not getattr(policy, key):
            entry.report.error("not_set", f"'{key}' must be more than 0, or UNSET.", entry.at(key))
    return policy


def _set(entry: Entry, key: str) -> int:
    """A number the policy cannot do without: there, or UNSET; never null."""
    if entry.value.get(key) is None:
        entry.report.error("not_set", f"'{key}' must have a value, or UNSET.", entry.at(key))
    return entry.may(key, count) or 0


def read_document_row(entry: Entry) -> DocumentRow:
    return DocumentRow(
        licences=entry.need("licences", texts),
        jurisdiction=entry.need("jurisdiction", text),
        body=entry.may("body", text),
        document=entry.need("document", one_of(("ce_certificate", "attendance_certificate"))),
        notice=entry.may("notice", text),
        decided=entry.need("decided", flag),
        refs=entry.texts("source"),
    )


def read_completion(entry: Entry) -> CompletionPolicy | None:
    share = _share(entry, "share")
    participation_share = _share(entry, "participation_share")
    grace_seconds = entry.some("grace_seconds", count, 0)
    staff_earn = entry.some("staff_earn", flag, False)
    return None if share is None else CompletionPolicy(share, participation_share, grace_seconds, staff_earn)


def _share(entry: Entry, key: str) -> Decimal | None:
    share = entry.may(key, amount)
    if share is not None and not 0 < share <= 1:
        message = f"'{key}' must be more than 0 and at most 1; 0.80 means 80 %."
        entry.report.error("wrong_value", message, entry.at(key))
    return share


def read_scores(entry: Entry) -> ScorePolicy:
    return ScorePolicy(
        single_line_item=entry.need("single_line_item", one_of(("completion", "ce"))),
        award_evidence=entry.need("award_evidence", EVIDENCE),
    )
