"""The programme as published, for staff to read: every series and retreat, and a page for each module and retreat."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import Blueprint

from lti_tool import times
from lti_tool.attendance import live_sessions
from lti_tool.errors import NotFound
from lti_tool.gates import wording
from lti_tool.gates.evaluate import rules_of
from lti_tool.materials import records
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.programme.open_values import cited, open_for, open_values
from lti_tool.rights import SEE_CLASSES, USE_DESK
from lti_tool.web import course_scope
from lti_tool.web.page import show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, only_course, our_sessions, viewer
from lti_tool.web.staff import overview
from lti_tool.web.trainee.modules import agenda_of, offered_credit

# How a date of the programme is known, and whether trainees see it.
CONFIDENCE: Mapping[str, str] = {
    "printed": "Printed with its year",
    "confirmed": "Confirmed by staff",
    "high": "Year inferred; not shown to trainees",
    "medium": "Year inferred; not shown to trainees",
    "none": "No year; not shown to trainees",
}

blueprint = Blueprint("desk_programme", __name__, url_prefix="/desk/programme")


@blueprint.get("")
@access(USE_DESK)
def overview_page() -> str:
    """Every module and retreat: who may open it, its next session, and how many questions are open about it."""
    published = versions.current(connection())
    programme = published.programme
    return show(
        "staff/modules.html",
        programme,
        version=published.version,
        open_values=open_values(programme),
        open_count={each: len(open_for(programme, each)) for each in (*programme.modules, *programme.retreats)},
        coming=overview.next_sessions(connection(), now(), *our_sessions()),
        materials=records.counts(connection()),
        **_words(programme),
    )


@blueprint.get("/<offering_id>")
@access(USE_DESK)
def offering(offering_id: str) -> str:
    """Everything that the programme says about one module or retreat, and what it leaves open."""
    published = versions.current(connection())
    programme = published.programme
    module, retreat = programme.modules.get(offering_id), programme.retreats.get(offering_id)
    shown = module or retreat
    required, recommended = rules_of(programme, offering_id)
    ours = only_course()
    reaches = viewer().may_in_course(SEE_CLASSES, reads=True) and (
        ours is None or course_scope.holds(connection(), ours, {"module_id": offering_id})
    )
    if shown is None:
        raise NotFound("module_unknown", "The programme has no such module.", "Choose one from the programme.")
    return show(
        "staff/offering.html",
        programme,
        version=published.version,
        offering=shown,
        module=module,
        retreat=retreat,
        gate=programme.gates.get(offering_id),
        advice=wording.rule_in_words(recommended, programme) if required and recommended else "",
        series=next((each for each in programme.series if module and each.id == module.series), None),
        length=programme.lengths.get(module.length or "") if module else None,
        agenda=agenda_of(programme, module, None) if module else None,
        clock=times.wall_clock,
        offered=offered_credit(programme, module) if module else [],
        packages=[each for each in programme.packages if offering_id in each.modules],
        teachers=[each for each in programme.teachers.values() if offering_id in each.teaches],
        earlier=[each for each in programme.earlier_modules if each.now == offering_id],
        planned=[each for each in programme.sessions if each.module == offering_id],
        upcoming=live_sessions.upcoming(connection(), offering_id, now()) if reaches else [],
        open_values=open_for(programme, offering_id),
        open_of_bodies=sum(each.path.startswith("credit_bodies.") for each in open_values(programme)),
        confidence=CONFIDENCE,
        **_words(programme),
    )


def _words(programme: Programme) -> dict[str, Any]:
    return {"in_words": partial(wording.gate_in_words, programme), "cited": partial(cited, programme)}
