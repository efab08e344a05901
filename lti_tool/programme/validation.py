"""What a document of good shape may still get wrong, and the warnings W1 to W10 of ce.md §5.

PURE. Each check yields the errors and warnings of one subject; the gates' rules have their own (`gates.validation`).
A warning doesn't stop a document. Two of them need a named person's reason before publication: credits above the
ceiling, and a published retreat whose dates are not as long as stated (`unexplained`).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from decimal import ROUND_FLOOR, Decimal
from itertools import groupby, pairwise
from typing import Any

from lti_tool.programme.catalogue import Agenda, Length, Module, Price
from lti_tool.programme.model import CreditPolicy, Programme
from lti_tool.programme.yaml_source import Problem

MAX_MINUTES_WITHOUT_BREAK = 4 * 60

# What a retreat needs before it takes applications (retreats.md H3.1); its gate is checked with the others.
NEEDED_FOR_APPLICATIONS = (
    "audience",
    "licence_types",
    "screening_steps",
    "attestation_required",
    "capacity",
    "contact",
    "retention_days",
)


def check_meaning(programme: Programme, document: dict[str, Any]) -> list[Problem]:
    """All errors and warnings of a programme, without the warnings that are acknowledged. `document` is what it was
    read from, for paths that it names."""
    found = [problem for check in CHECKS for problem in check(programme)]
    warnings = {(each.code, each.path) for each in found if each.severity == "warning"}
    accepted = {(each.warning, each.path) for each in programme.acknowledged}
    found = [each for each in found if each.severity == "error" or (each.code, each.path) not in accepted]
    for index, each in enumerate(programme.acknowledged):
        if (each.warning, each.path) not in warnings:
            message = f"No warning '{each.warning}' is raised at {each.path}; this acknowledgement can go."
            found.append(_warning("acknowledgement_unused", message, f"acknowledged[{index}]"))
    for index, path in enumerate(programme.made_for_demonstration):
        if not _is_written(document, path):
            message = f"There is nothing at '{path}'."
            found.append(_error("unknown_path", message, f"made_for_demonstration[{index}]"))
    return found


def unexplained(programme: Programme, problems: Iterable[Problem]) -> list[Problem]:
    """The warnings among `problems` that must be acknowledged before the programme is published (ce.md T4,
    programme.yaml C10)."""
    published = {f"retreats.{each.id}" for each in programme.retreats.values() if each.publish}
    return [
        each
        for each in problems
        if each.code == "credits_above_ceiling"
        or (each.code == "retreat_days_differ" and each.path.rpartition(".dates")[0] in published)
    ]


def ceiling(instructional_minutes: int, policy: CreditPolicy) -> Decimal:
    """The most credits that so many instructional minutes can be, down to the body's step (ce.md T4)."""
    steps = Decimal(instructional_minutes) / policy.minutes_per_credit / policy.credit_step
    return steps.to_integral_value(ROUND_FLOOR) * policy.credit_step


def open_choices(programme: Programme) -> Iterator[Problem]:
    """Everything UNSET outside the gates, which report their own (`gates.validation`)."""
    for path in programme.unset:
        if not path.startswith("gates."):
            yield _warning("unset", "A named person must still choose this.", path)


def agendas(programme: Programme) -> Iterator[Problem]:
    for agenda in programme.agendas.values():
        path = f"agendas.{agenda.id}.parts"
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
        runs = (Agenda("", tuple(run)) for _is, run in groupby(agenda.parts, lambda part: part.instructional))
        if any(run.instructional_minutes > MAX_MINUTES_WITHOUT_BREAK for run in runs):
            message = "W3: more than four hours of instruction without a break."
            yield _warning("agenda_without_break", message, f"agendas.{agenda.id}")
    for length in programme.lengths.values():
        its_agenda = programme.agendas.get(length.agenda or "")
        if its_agenda and length.starts and length.ends:
            parts = its_agenda.parts
            bounds = (parts[0].starts, parts[-1].ends) if parts else None
            if bounds != (length.starts, length.ends):
                message = f"W2: the agenda does not go from {length.starts:%H:%M} to {length.ends:%H:%M}."
                yield _warning("agenda_differs_from_length", message, f"lengths.{length.id}.agenda")


def series(programme: Programme) -> Iterator[Problem]:
    members: dict[str, str] = {}
    for each in programme.series:
        path = f"series.{each.id}.modules"
        yield from _unknown(each.modules, programme.modules, "module", path)
        for module in each.modules:
            if module in members:
                yield _error("module_twice", f"'{module}' is already in the series {members[module]}.", path)
            members[module] = each.id
        if each.printed_count not in (None, len(each.modules)):
            message = f"The page says {each.printed_count} modules, the series has {len(each.modules)}."
            yield _warning("series_count_differs", message, f"series.{each.id}")


def modules(programme: Programme) -> Iterator[Problem]:
    for module in programme.modules.values():
        yield from _unknown(module.teachers, programme.teachers, "teacher", f"modules.{module.id}.teachers")
    credited = [module for module in programme.modules.values() if module.credits]
    without_objectives = [module.id for module in credited if not module.objectives]
    if without_objectives:
        yield _warning("objectives_missing", f"W7: no objectives: {', '.join(without_objectives)}.", "modules")
    without_title = [module.id for module in credited if not module.certificate_title]
    if without_title:
        message = f"W8: the certificate's title is not approved: {', '.join(without_title)}."
        yield _warning("certificate_title_missing", message, "modules")


def credits(programme: Programme) -> Iterator[Problem]:
    """Agenda, credits and fees, at each length and at each module that has its own."""
    for path, place in _credited_places(programme):
        yield from _unknown([place.agenda] if place.agenda else [], programme.agendas, "agenda", f"{path}.agenda")
        yield from _unknown(place.credits, programme.bodies, "credit_body", f"{path}.credits")
        yield from _unknown(place.fees, programme.bodies, "credit_body", f"{path}.fees")
        agenda = programme.agendas.get(place.agenda or "")
        for body_id, offered in place.credits.items():
            body = programme.bodies.get(body_id)
            if agenda is None or body is None or body.policy is None or offered is None:
                continue
            minutes = agenda.instructional_minutes
            most = ceiling(minutes, body.policy)
            if offered > most:
                message = f"W1: {offered} credits are more than {minutes} instructional minutes give, which is {most}."
                yield _warning("credits_above_ceiling", message, f"{path}.credits.{body_id}")


def _credited_places(programme: Programme) -> Iterator[tuple[str, Length | Module]]:
    for length in programme.lengths.values():
        yield f"lengths.{length.id}", length
    for module in programme.modules.values():
        inherited = programme.lengths.get(module.length or "")
        own = (module.agenda, module.credits, module.fees)
        if inherited is None or own != (inherited.agenda, inherited.credits, inherited.fees):
            yield f"modules.{module.id}", module


def dates(programme: Programme) -> Iterator[Problem]:
    written: Counter[str] = Counter()
    for session in programme.sessions:
        path = f"modules.{session.module}.dates[{written[session.module]}]"
        written[session.module] += 1
        if session.takes_attendance and not session.is_certain:
            message = f"The date '{session.raw}' of {session.module} is not confirmed, so it cannot take attendance."
            yield _error("date_not_confirmed", message, path)
        if session.starts and session.ends and session.starts >= session.ends:
            yield _error("session_backwards", "This session ends before it starts.", path)
    yield from _twice([each.id for each in programme.sessions], "session", "modules")
    uncertain = [session.id for session in programme.sessions if not session.is_certain]
    if uncertain:
        message = f"W9: dates that are not confirmed, so not shown and without attendance: {', '.join(uncertain)}."
        yield _warning("dates_not_confirmed", message, "modules")


def sets(programme: Programme) -> Iterator[Problem]:
    for name, members in programme.sets.items():
        if programme.set_kinds[name] == "modules" and members:
            yield from _unknown(members, programme.modules, "module", f"sets.{name}.modules")
        yield from _twice(members or (), "member", f"sets.{name}")


def equivalencies(programme: Programme) -> Iterator[Problem]:
    for equivalency in programme.equivalencies.values():
        path = f"equivalencies.{equivalency.target}"
        yield from _unknown([equivalency.target], _offerings(programme), "offering", path)
        for provider in equivalency.providers:
            place = f"{path}.providers.{provider.id}"
            if provider.decision == "not_accepted" and not provider.reason:
                yield _error("provider_reason_missing", "A training that is not accepted needs a reason.", place)
            if provider.decision != "not_accepted" and not provider.review:
                yield _error("provider_review_missing", "Say how a request is reviewed: fast_track or full.", place)


def bodies(programme: Programme) -> Iterator[Problem]:
    """Credit bodies: their approvals, statements and fees."""
    for body in programme.bodies.values():
        path = f"credit_bodies.{body.id}"
        if body.valid_from and body.valid_to and body.valid_from > body.valid_to:
            yield _error("approval_backwards", "This approval ends before it starts.", f"{path}.valid_to")
        credited = {each.id for each in programme.modules.values() if each.credits.get(body.id) is not None}
        priced = {each.id for each in programme.modules.values() if each.fees.get(body.id) is not None}
        if credited - priced and (body.policy is None or body.policy.fee_required):
            message = f"W4: credits without a fee: {', '.join(sorted(credited - priced))}."
            yield _warning("credits_without_fee", message, path)
        if priced - credited:
            message = f"W4: a fee without credits: {', '.join(sorted(priced - credited))}."
            yield _warning("fee_without_credits", message, path)
        wording = (body.statement_of_body or "").replace("(Name of organization)", programme.provider)
        if body.statement and wording and body.statement != wording:
            message = "W5: the sponsor statement is not in the body's own wording."
            yield _warning("statement_differs", message, f"{path}.statement")
        dated = [(each.id, each.date) for each in programme.sessions if each.module in credited and each.date]
        outside = [session for session, date in dated if not body.is_approved_on(date)]
        if outside:
            message = f"W6: the approval does not cover these dates: {', '.join(outside)}."
            yield _warning("approval_not_valid", message, path)


def documents(programme: Programme) -> Iterator[Problem]:
    for index, row in enumerate(programme.document_matrix):
        path = f"document_matrix[{index}]"
        yield from _unknown([row.body] if row.body else [], programme.bodies, "credit_body", path)
        yield from _unknown([row.notice] if row.notice else [], programme.notices, "notice", path)
        if row.document == "ce_certificate" and row.body is None:
            yield _error("body_missing", "A CE certificate needs the body that gives the credit.", path)


def packages(programme: Programme) -> Iterator[Problem]:
    for package in programme.packages:
        path = f"packages.{package.id}"
        yield from _unknown(package.modules, programme.modules, "module", f"{path}.modules")
        parts = [programme.modules[each].price for each in package.modules if each in programme.modules]
        single = sum((_total(each) for each in parts if each), Decimal(0))
        whole = _total(package.price)
        if all(parts) and whole > single:
            message = f"The package costs {whole}, its modules bought one by one {single}."
            yield _warning("package_dearer_than_parts", message, path)


def prices(programme: Programme) -> Iterator[Problem]:
    offered = {f"modules.{each.id}.price": each.price for each in programme.modules.values()}
    offered |= {f"retreats.{each.id}.price": each.price for each in programme.retreats.values()}
    offered |= {f"packages.{each.id}": each.price for each in programme.packages}
    for path, price in offered.items():
        if price and price.total not in (None, _total(price)):
            message = f"The total of {price.total} is not tuition and administrative fee together."
            yield _warning("price_total_differs", message, path)


def _total(price: Price) -> Decimal:
    return (price.tuition or Decimal(0)) + (price.admin_fee or Decimal(0))


def faculty(programme: Programme) -> Iterator[Problem]:
    for teacher in programme.teachers.values():
        yield from _unknown(teacher.teaches, _offerings(programme), "offering", f"faculty.{teacher.id}.teaches")
    without_vitae = [teacher.id for teacher in programme.teachers.values() if not teacher.vitae_on_file]
    if without_vitae:
        yield _warning("vitae_missing", f"W10: no vitae on file: {', '.join(without_vitae)}.", "faculty")


def earlier_modules(programme: Programme) -> Iterator[Problem]:
    for row in programme.earlier_modules:
        yield from _unknown([row.now], _offerings(programme), "offering", f"earlier_modules.{row.earlier}.now")


def retreats(programme: Programme) -> Iterator[Problem]:
    for retreat in programme.retreats.values():
        path = f"retreats.{retreat.id}"
        if retreat.id in programme.modules:
            yield _error("offering_twice", f"'{retreat.id}' names a module and a retreat.", path)
        yield from _unknown([retreat.contact] if retreat.contact else [], programme.contacts, "contact", path)
        for index, each in enumerate(retreat.dates):
            if each.starts_on > each.ends_on:
                yield _error("retreat_backwards", "This retreat ends before it starts.", f"{path}.dates[{index}]")
            if retreat.stated_days not in (None, each.calendar_days):
                message = f"The page says {retreat.stated_days} days, these dates are {each.calendar_days}."
                yield _warning("retreat_days_differ", message, f"{path}.dates[{index}]")
        left_open = [name for name in NEEDED_FOR_APPLICATIONS if getattr(retreat, name) is None]
        if not any(each.confidence in ("printed", "confirmed") for each in retreat.dates):
            left_open.append("dates")
        for name in left_open if retreat.publish else ():
            message = f"{retreat.id} takes applications, so '{name}' must be chosen; or write publish: false."
            yield _error("unset_but_published", message, f"{path}.{name}")


def contradictions(programme: Programme) -> Iterator[Problem]:
    for each in programme.contradictions:
        path = f"contradictions.{each.id}"
        if each.decide == "staff" and each.decided_by is None:
            message = f"{each.id}: the sources disagree and staff have not decided. {each.conflict}"
            yield _warning("contradiction_undecided", message, path)
        elif each.decide == "none":
            message = f"{each.id}: the sources disagree. {each.conflict} Held as: {each.held_as}"
            yield _warning("contradiction_held", message, path)


CHECKS = (
    open_choices,
    agendas,
    series,
    modules,
    credits,
    dates,
    sets,
    equivalencies,
    bodies,
    documents,
    packages,
    prices,
    faculty,
    earlier_modules,
    retreats,
    contradictions,
)


def _error(code: str, message: str, path: str) -> Problem:
    return Problem("error", code, message, path)


def _warning(code: str, message: str, path: str) -> Problem:
    return Problem("warning", code, message, path)


def _offerings(programme: Programme) -> Collection[str]:
    return programme.modules.keys() | programme.retreats.keys()


def _unknown(names: Collection[str], known: Collection[str], what: str, path: str) -> Iterator[Problem]:
    for name in names:
        if name not in known:
            yield _error(f"unknown_{what}", f"There is no {what} '{name}' in this document.", path)


def _twice(names: Collection[str], what: str, path: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield _error(f"{what}_twice", f"'{name}' is named twice.", path)
        seen.add(name)


def _is_written(document: Any, path: str) -> bool:
    for key in path.split("."):
        if not isinstance(document, dict) or key not in document:
            return False
        document = document[key]
    return True
