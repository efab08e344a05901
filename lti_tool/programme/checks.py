"""What a document of good shape may still get wrong: agendas with holes, references to nothing, choices left open.

Each check yields Problems; the doubts that do not stop a document are in `doubts`. The gates' rules have their own
checks in `gates.rules`.
"""

from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import Any

from lti_tool.programme.doubts import credited_places, doubts
from lti_tool.programme.model import Agenda, Programme, Retreat
from lti_tool.programme.problems import Problem


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
