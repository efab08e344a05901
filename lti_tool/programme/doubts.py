"""What does not stop a document but somebody should look at: the warnings W1 to W10 of ce.md §5 and the contradictions.

Credits above the ceiling, and a published retreat whose dates are not as long as stated, keep a document from being
published until a named person has acknowledged them with a reason (`unexplained`).
"""

from collections.abc import Iterable, Iterator
from decimal import ROUND_FLOOR, Decimal

from lti_tool.programme.model import Agenda, CreditPolicy, Length, Module, Programme
from lti_tool.programme.problems import Problem

LONGEST_WITHOUT_BREAK = 4 * 60


def doubts(programme: Programme) -> Iterator[Problem]:
    """All warnings of a programme, acknowledged or not."""
    for check in (_unset, _ceilings, _agendas, _fees, _statements, _approvals, _papers, _dates, _prices, _retreats):
        yield from check(programme)
    yield from _contradictions(programme)


def unexplained(programme: Programme, problems: Iterable[Problem]) -> list[Problem]:
    """The warnings among `problems` without whose acknowledgement the programme is not published (ce.md T4,
    programme.yaml C10)."""
    shown = {f"retreats.{each.id}" for each in programme.retreats.values() if each.publish}
    return [
        each
        for each in problems
        if each.code == "credits_above_ceiling"
        or (each.code == "retreat_days_differ" and each.path.rpartition(".dates")[0] in shown)
    ]


def ceiling(instructional_minutes: int, policy: CreditPolicy) -> Decimal:
    """The most credits that so many instructional minutes can be, down to the body's step (ce.md T4)."""
    steps = Decimal(instructional_minutes) / policy.minutes_per_credit / policy.credit_step
    return steps.to_integral_value(ROUND_FLOOR) * policy.credit_step


def _warning(code: str, message: str, path: str) -> Problem:
    return Problem("warning", code, message, path)


def _unset(programme: Programme) -> Iterator[Problem]:
    """Everything UNSET outside the gates, which tell of their own (gates.rules)."""
    for path in programme.unset:
        if not path.startswith("gates."):
            yield _warning("unset", "A named person must still choose this.", path)


def credited_places(programme: Programme) -> Iterator[tuple[str, Length | Module]]:
    """Where agenda, credits and fees are written: at each length, and at each module that has its own."""
    for length in programme.lengths.values():
        yield f"lengths.{length.id}", length
    for module in programme.modules.values():
        length_of = programme.lengths.get(module.length or "")
        if length_of is None or _credited(module) != _credited(length_of):
            yield f"modules.{module.id}", module


def _credited(place: Length | Module) -> tuple[object, ...]:
    return place.agenda, place.credits, place.fees


def _ceilings(programme: Programme) -> Iterator[Problem]:
    for path, place in credited_places(programme):
        yield from _above(programme, place, path)


def _above(programme: Programme, place: Length | Module, path: str) -> Iterator[Problem]:
    agenda = programme.agendas.get(place.agenda or "")
    for body_id, credits in place.credits.items():
        body = programme.bodies.get(body_id)
        policy = body.policy if body else None
        if agenda is None or policy is None or credits is None:
            continue
        most = ceiling(agenda.instructional_minutes, policy)
        if credits > most:
            minutes = agenda.instructional_minutes
            message = f"W1: {credits} credits are more than {minutes} instructional minutes give, which is {most}."
            yield _warning("credits_above_ceiling", message, f"{path}.credits.{body_id}")


def _agendas(programme: Programme) -> Iterator[Problem]:
    for length in programme.lengths.values():
        agenda = programme.agendas.get(length.agenda or "")
        if agenda and length.starts and length.ends and not _covers(agenda, length.starts, length.ends):
            message = f"W2: the agenda does not go from {length.starts:%H:%M} to {length.ends:%H:%M}."
            yield _warning("agenda_differs_from_length", message, f"lengths.{length.id}.agenda")
    for agenda in programme.agendas.values():
        if _longest_stretch(agenda) > LONGEST_WITHOUT_BREAK:
            message = "W3: more than four hours of instruction without a break."
            yield _warning("agenda_without_break", message, f"agendas.{agenda.id}")


def _covers(agenda: Agenda, starts: object, ends: object) -> bool:
    return bool(agenda.parts) and (agenda.parts[0].starts, agenda.parts[-1].ends) == (starts, ends)


def _longest_stretch(agenda: Agenda) -> int:
    """Minutes of the longest run of instructional parts."""
    longest = stretch = 0
    for part in agenda.parts:
        stretch = stretch + Agenda("", (part,)).instructional_minutes if part.instructional else 0
        longest = max(longest, stretch)
    return longest


def _fees(programme: Programme) -> Iterator[Problem]:
    for body in programme.bodies.values():
        path, modules = f"credit_bodies.{body.id}", programme.modules.values()
        credited = {each.id for each in modules if each.credits.get(body.id) is not None}
        priced = {each.id for each in modules if each.fees.get(body.id) is not None}
        if credited - priced and (body.policy is None or body.policy.fee_required):
            message = f"W4: credits without a fee: {_listed(sorted(credited - priced))}."
            yield _warning("credits_without_fee", message, path)
        if priced - credited:
            message = f"W4: a fee without credits: {_listed(sorted(priced - credited))}."
            yield _warning("fee_without_credits", message, path)


def _statements(programme: Programme) -> Iterator[Problem]:
    for body in programme.bodies.values():
        if not body.statement or not body.statement_of_body:
            continue
        if body.statement != body.statement_of_body.replace("(Name of organization)", programme.provider):
            message = "W5: the sponsor statement is not in the body's own wording."
            yield _warning("statement_differs", message, f"credit_bodies.{body.id}.statement")


def _approvals(programme: Programme) -> Iterator[Problem]:
    for body in programme.bodies.values():
        outside = [
            session.id
            for session in programme.sessions
            if session.date
            and programme.modules[session.module].credits.get(body.id) is not None
            and not body.is_approved_on(session.date)
        ]
        if outside:
            message = f"W6: the approval does not cover these dates: {_listed(outside)}."
            yield _warning("approval_not_valid", message, f"credit_bodies.{body.id}")


def _papers(programme: Programme) -> Iterator[Problem]:
    modules = [module for module in programme.modules.values() if module.credits]
    no_objectives = [module.id for module in modules if not module.objectives]
    if no_objectives:
        yield _warning("objectives_missing", f"W7: no objectives: {_listed(no_objectives)}.", "modules")
    no_title = [module.id for module in modules if not module.certificate_title]
    if no_title:
        message = f"W8: the certificate's title is not approved: {_listed(no_title)}."
        yield _warning("certificate_title_missing", message, "modules")
    no_vitae = [teacher.id for teacher in programme.teachers.values() if not teacher.vitae_on_file]
    if no_vitae:
        yield _warning("vitae_missing", f"W10: no vitae on file: {_listed(no_vitae)}.", "faculty")


def _dates(programme: Programme) -> Iterator[Problem]:
    uncertain = [session.id for session in programme.sessions if not session.is_certain]
    if uncertain:
        message = f"W9: dates that nobody confirmed; they are not shown and take no attendance: {_listed(uncertain)}."
        yield _warning("dates_not_confirmed", message, "modules")


def _prices(programme: Programme) -> Iterator[Problem]:
    for package in programme.packages:
        parts = [programme.modules[each].price for each in package.modules if each in programme.modules]
        single = sum((_total(each.tuition, each.admin_fee) for each in parts if each), Decimal(0))
        whole = _total(package.price.tuition, package.price.admin_fee)
        if all(parts) and whole > single:
            message = f"The package costs {whole}, its modules bought one by one {single}."
            yield _warning("package_dearer_than_parts", message, f"packages.{package.id}")
    for series in programme.series:
        if series.printed_count is not None and series.printed_count != len(series.modules):
            message = f"The page says {series.printed_count} modules, the series has {len(series.modules)}."
            yield _warning("series_count_differs", message, f"series.{series.id}")


def _total(tuition: Decimal | None, fee: Decimal | None) -> Decimal:
    return (tuition or Decimal(0)) + (fee or Decimal(0))


def _retreats(programme: Programme) -> Iterator[Problem]:
    for retreat in programme.retreats.values():
        for index, each in enumerate(retreat.dates):
            if retreat.stated_days not in (None, each.calendar_days):
                message = f"The page says {retreat.stated_days} days, these dates are {each.calendar_days}."
                yield _warning("retreat_days_differ", message, f"retreats.{retreat.id}.dates[{index}]")


def _contradictions(programme: Programme) -> Iterator[Problem]:
    for each in programme.contradictions:
        if each.decide == "staff" and each.decided_by is None:
            message = f"{each.id}: the sources disagree and nobody has decided. {each.conflict}"
            yield _warning("contradiction_undecided", message, f"contradictions.{each.id}")
        elif each.decide == "none":
            message = f"{each.id}: the sources disagree. {each.conflict} Held as: {each.held_as}"
            yield _warning("contradiction_held", message, f"contradictions.{each.id}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
