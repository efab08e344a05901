"""What a document of good shape may still get wrong: agendas with holes, references to nothing, choices left open.

Each check yields Problems; the doubts that do not stop a document are in `doubts`. The gates' rules have their own
checks in `gates.rules`.

What does not stop a document but somebody should look at: the warnings W1 to W10 of ce.md §5 and the contradictions.

Credits above the ceiling, and a published retreat whose dates are not as long as stated, keep a document from being
published until a named person has acknowledged them with a reason (`unexplained`).
"""

from collections.abc import Collection, Iterable, Iterator
from decimal import ROUND_FLOOR, Decimal
from itertools import pairwise
from typing import Any

from lti_tool.programme.catalogue import Agenda, Length, Module, Retreat
from lti_tool.programme.model import CreditPolicy, Programme
from lti_tool.programme.yaml_source import Problem

LONGEST_WITHOUT_BREAK = 4 * 60


def doubts(programme: Programme) -> Iterator[Problem]:
    """All warnings of a programme, acknowledged or not."""
    for check in (
        _unset,
        _ceilings,
        _doubtful_agendas,
        _fees,
        _statements,
        _approvals,
        _papers,
        _dates,
        _prices,
        _doubtful_retreats,
    ):
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


def _doubtful_agendas(programme: Programme) -> Iterator[Problem]:
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


def _doubtful_retreats(programme: Programme) -> Iterator[Problem]:
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


def check_meaning(programme: Programme, document: dict[str, Any]) -> list[Problem]:
    """All errors and warnings of a programme; `document` is what it was read from, for paths that it names."""
    checks = (_agendas, _series, _modules, _sessions, _sets, _equivalencies, _credit, _others, _retreats)
    found = [problem for check in checks for problem in check(programme)]
    found += _marks(programme, document)
    warnings = list(doubts(programme))
    accepted = {(each.warning, each.path) for each in programme.acknowledged}
    found += [each for each in warnings if (each.code, each.path) not in accepted]
    return found + list(_unused(programme, warnings))


def _error(code: str, message: str, path: str) -> Problem:
    return Problem("error", code, message, path)


def _unknown(names: Collection[str], known: Collection[str], what: str, path: str) -> Iterator[Problem]:
    for name in names:
        if name not in known:
            yield _error(f"unknown_{what}", f"There is no {what} '{name}' in this document.", path)


def _twice(names: Collection[str], what: str, path: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield _error(f"{what}_twice", f"'{name}' stands here twice.", path)
        seen.add(name)


def _agendas(programme: Programme) -> Iterator[Problem]:
    for agenda in programme.agendas.values():
        yield from _agenda(agenda, f"agendas.{agenda.id}.parts")


def _agenda(agenda: Agenda, path: str) -> Iterator[Problem]:
    for index, part in enumerate(agenda.parts):
        if part.starts >= part.ends:
            yield _error("agenda_part_backwards", "This part ends before it starts.", f"{path}[{index}]")
    for index, (before, after) in enumerate(pairwise(agenda.parts), start=1):
        if after.starts < before.ends:
            yield _error("agenda_overlap", "This part starts before the one above it ends.", f"{path}[{index}]")
        if after.starts > before.ends:
            message = "There is a hole before this part; give the break a part of its own."
            yield _error("agenda_gap", message, f"{path}[{index}]")
    if not any(part.instructional for part in agenda.parts):
        yield _error("agenda_empty", "An agenda needs at least one instructional part.", path)


def _series(programme: Programme) -> Iterator[Problem]:
    members: dict[str, str] = {}
    for series in programme.series:
        path = f"series.{series.id}.modules"
        yield from _unknown(series.modules, programme.modules, "module", path)
        for module in series.modules:
            if module in members:
                yield _error("module_twice", f"'{module}' is already in the series {members[module]}.", path)
            members[module] = series.id


def _modules(programme: Programme) -> Iterator[Problem]:
    for path, place in credited_places(programme):
        yield from _unknown([place.agenda] if place.agenda else [], programme.agendas, "agenda", f"{path}.agenda")
        yield from _unknown(place.credits, programme.bodies, "credit_body", f"{path}.credits")
        yield from _unknown(place.fees, programme.bodies, "credit_body", f"{path}.fees")
    for module in programme.modules.values():
        yield from _unknown(module.teachers, programme.teachers, "teacher", f"modules.{module.id}.teachers")


def _sessions(programme: Programme) -> Iterator[Problem]:
    yield from _twice([each.id for each in programme.sessions], "session", "modules")
    for module, session, path in session_places(programme):
        if session.takes_attendance and not session.is_certain:
            message = f"The date '{session.raw}' of {module} is not confirmed, so it cannot take attendance."
            yield _error("date_not_confirmed", message, path)
        if session.starts and session.ends and session.starts >= session.ends:
            yield _error("session_backwards", "This session ends before it starts.", path)


def session_places(programme: Programme) -> Iterator[tuple[str, Any, str]]:
    """Every planned session with its module and its path in the document."""
    counted: dict[str, int] = {}
    for session in programme.sessions:
        index = counted.get(session.module, 0)
        counted[session.module] = index + 1
        yield session.module, session, f"modules.{session.module}.dates[{index}]"


def _sets(programme: Programme) -> Iterator[Problem]:
    for name, members in programme.sets.items():
        if programme.set_kinds[name] == "modules" and members:
            yield from _unknown(members, programme.modules, "module", f"sets.{name}.modules")
        yield from _twice(members or (), "member", f"sets.{name}")


def _equivalencies(programme: Programme) -> Iterator[Problem]:
    for equivalency in programme.equivalencies.values():
        path = f"equivalencies.{equivalency.target}"
        yield from _unknown([equivalency.target], {**programme.modules, **programme.retreats}, "offering", path)
        for provider in equivalency.providers:
            place = f"{path}.providers.{provider.id}"
            if provider.decision == "not_accepted" and not provider.reason:
                yield _error("provider_reason_missing", "A training that is not accepted needs a reason.", place)
            if provider.decision != "not_accepted" and not provider.review:
                yield _error("provider_review_missing", "Say how a request is reviewed: fast_track or full.", place)


def _credit(programme: Programme) -> Iterator[Problem]:
    for index, row in enumerate(programme.document_matrix):
        path = f"document_matrix[{index}]"
        yield from _unknown([row.body] if row.body else [], programme.bodies, "credit_body", path)
        yield from _unknown([row.notice] if row.notice else [], programme.notices, "notice", path)
        if row.document == "ce_certificate" and row.body is None:
            yield _error("body_missing", "A CE certificate needs the body that gives the credit.", path)
    for body in programme.bodies.values():
        if body.valid_from and body.valid_to and body.valid_from > body.valid_to:
            message = "This approval ends before it starts."
            yield _error("approval_backwards", message, f"credit_bodies.{body.id}.valid_to")


def _others(programme: Programme) -> Iterator[Problem]:
    offerings = {**programme.modules, **programme.retreats}
    for both in programme.modules.keys() & programme.retreats.keys():
        yield _error("offering_twice", f"'{both}' names a module and a retreat.", f"retreats.{both}")
    for package in programme.packages:
        yield from _unknown(package.modules, programme.modules, "module", f"packages.{package.id}.modules")
    for teacher in programme.teachers.values():
        yield from _unknown(teacher.teaches, offerings, "offering", f"faculty.{teacher.id}.teaches")
    for row in programme.earlier_modules:
        yield from _unknown([row.now], offerings, "offering", f"earlier_modules.{row.earlier}.now")


def _retreats(programme: Programme) -> Iterator[Problem]:
    for retreat in programme.retreats.values():
        path = f"retreats.{retreat.id}"
        yield from _unknown([retreat.contact] if retreat.contact else [], programme.contacts, "contact", path)
        for index, each in enumerate(retreat.dates):
            if each.starts_on > each.ends_on:
                yield _error("retreat_backwards", "This retreat ends before it starts.", f"{path}.dates[{index}]")
        for name in _left_open(retreat) if retreat.publish else ():
            message = f"{retreat.id} takes applications, so '{name}' must be chosen; or write publish: false."
            yield _error("unset_but_published", message, f"{path}.{name}")


def _left_open(retreat: Retreat) -> Iterator[str]:
    """What a retreat needs before anybody may apply and has not (retreats.md H3.1); its gate is checked elsewhere."""
    needed = ("audience", "licence_types", "screening_steps", "attestation_required", "capacity", "contact")
    for name in (*needed, "retention_days"):
        if getattr(retreat, name) is None:
            yield name
    if not any(each.confidence in ("printed", "confirmed") for each in retreat.dates):
        yield "dates"


def _marks(programme: Programme, document: dict[str, Any]) -> list[Problem]:
    return [
        _error("unknown_path", f"There is nothing at '{path}'.", f"made_for_demonstration[{index}]")
        for index, path in enumerate(programme.made_for_demonstration)
        if not _is_written(document, path)
    ]


def _is_written(document: Any, path: str) -> bool:
    for key in path.split("."):
        if not isinstance(document, dict) or key not in document:
            return False
        document = document[key]
    return True


def _unused(programme: Programme, warnings: list[Problem]) -> Iterator[Problem]:
    raised = {(each.code, each.path) for each in warnings}
    for index, each in enumerate(programme.acknowledged):
        if (each.warning, each.path) not in raised:
            message = f"No warning '{each.warning}' is raised at {each.path}; this acknowledgement can go."
            yield Problem("warning", "acknowledgement_unused", message, f"acknowledged[{index}]")
