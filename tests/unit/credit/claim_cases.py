"""Claims of the demonstration's programme, for the tests of their checklist."""

from dataclasses import replace
from datetime import date

from lti_tool.attendance.agenda import lay_out
from lti_tool.attendance.minutes import SettledDay, attend
from lti_tool.credit.checklist import ClaimCase, Licence
from lti_tool.programme.loader import read_programme
from tests.conftest import DEMO_PROGRAMME
from tests.training_day import DAY, MODULE, stay

PROGRAMME = read_programme(DEMO_PROGRAMME.read_text(encoding="utf-8"), "demo.yaml").programme
assert PROGRAMME is not None
SEGMENTS = lay_out(PROGRAMME.agendas["full_day"], DAY, PROGRAMME.zone)
LMFT = Licence(1, "LMFT", "CA", "MFT 12345", "Trainee One", date(2020, 1, 1), date(2027, 12, 31), "active", True)
RN = replace(LMFT, id=2, type="RN", number="RN 1")


def attended(*stays):
    return attend(stays, SEGMENTS, PROGRAMME.completion.share)


def case(*stays, **given):
    attendance = attended(*(stays or (stay(0, 480),)))
    of_day = {
        "trainee_id": 1,
        "session_id": 1,
        "module_id": MODULE,
        "programme_version": 1,
        "held_on": DAY,
        "session_state": "provisional",
        "ended": True,
        "attendance_id": 1,
        "day": attendance,
        "flags": attendance.flags,
    }
    of_day |= {name: given.pop(name) for name in list(given) if name in SettledDay.__slots__}
    return ClaimCase(SettledDay(**of_day), **{"body_id": "apa", "licences": (LMFT,), **given})


def with_policy(body_id="apa", **changes):
    body = PROGRAMME.bodies[body_id]
    changed = replace(body, policy=replace(body.policy, **changes))
    return replace(PROGRAMME, bodies={**PROGRAMME.bodies, body_id: changed})


def line(checklist, name):
    return next(each for each in checklist.lines if each.name == name)
