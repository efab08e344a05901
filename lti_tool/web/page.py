"""What every page of ours has in common: the programme it speaks of, whom to write to, and the notice after a form.

A notice travels as a short code in the address (`?done=request_sent`), because a frame may keep no cookie for it.

Where a next step of a decision leads on our own pages.
"""

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from flask import redirect, render_template
from flask import request as http_request
from werkzeug.wrappers import Response

from lti_tool.programme.model import Programme
from lti_tool.web.request import now


@dataclass(frozen=True, slots=True)
class Notice:
    kind: Literal["open", "note"]
    says: str


NOTICES = {
    "request_sent": Notice("open", "Your request is sent. You will see the answer here."),
    "answer_sent": Notice("open", "Your answer is sent. The request is back with the training team."),
    "request_withdrawn": Notice("note", "Your request is withdrawn."),
    "request_approved": Notice("open", "Approved. What depends on it is open for this person from now on."),
    "request_declined": Notice("note", "Declined. The person sees your words on their page."),
    "question_sent": Notice("note", "Your question is on the person's page. The request waits for their answer."),
    "application_sent": Notice("open", "Your application is sent."),
    "application_withdrawn": Notice("note", "Your application is withdrawn."),
    "roster_asked": Notice("note", "The roster is being read. Look again in a few seconds."),
    "attendance_asked": Notice("note", "Attendance is being brought up to date. Look again in a few seconds."),
    "platform_approved": Notice("open", "Approved. Launches from this platform are let in from now on."),
    "platform_disabled": Notice("note", "Switched off. Launches from this platform are refused from now on."),
    "platform_enabled": Notice("open", "Switched on. Launches from this platform are let in again."),
    "course_confirmed": Notice("open", "Confirmed. Units that come to this course later will wait for you here."),
    "unit_assigned": Notice("open", "Chosen. The unit opens this module from its next launch on."),
    "unit_unassigned": Notice("note", "Taken back. The unit opens the dashboard again."),
    "score_again": Notice("open", "The score is in line again. It will be tried within a minute."),
    "regrade_sent": Notice("open", "Our score is in line. It replaces what somebody entered on the platform."),
    "regrade_kept": Notice("note", "What was entered on the platform stands. Nothing more is sent for this score."),
    "presence_asked": Notice("open", "Asked. The answers are counted below."),
    "presence_answered": Notice("open", "Thank you, your answer is recorded."),
    "person_matched": Notice("open", "Linked. The sessions it touches are being settled again; look in a few seconds."),
    "person_unlinked": Notice("note", "Taken back. The sessions it touches are being settled again."),
    "person_left_alone": Notice("note", "Left alone. The person is no longer on this list."),
    "day_let_stand": Notice("open", "Noted. The day stands as it is, as long as its evidence does."),
    "correction_proposed": Notice("note", "Proposed. It counts once somebody else of the staff confirms it."),
    "correction_confirmed": Notice("open", "Confirmed. The session is being settled again."),
    "correction_undone": Notice("note", "Taken back. What it changed is being settled again."),
    "question_about_day": Notice("open", "Sent. The training team answers here."),
    "question_withdrawn": Notice("note", "Withdrawn. Nobody will answer it."),
    "question_answered": Notice("open", "Sent. The person reads your answer on the page of the day."),
    "session_added": Notice("open", "Added. It stands on the page of its module and in the calendars."),
    "session_ended": Notice("open", "Recorded. The session is being settled; look again in a few seconds."),
    "session_locked": Notice("open", "Locked. Nothing changes these numbers from now on."),
    "session_reopened": Notice("note", "Open again. What came since is being settled."),
    "rooms_named": Notice("open", "Kept. The names stand on everybody's day of this session."),
    "place_again": Notice("open", "Zoom is asked again within a few seconds. Look again then."),
    "settings_again": Notice("note", "The settings are being read. Look again in a few seconds."),
    "columns_again": Notice("open", "The grade columns of this unit are looked for within a minute."),
}


def show(template: str, programme: Programme, /, **values: Any) -> str:
    """The page, with the programme, its zone, its contact address and the notice of a form just sent."""
    shared = {
        "programme": programme,
        "zone": programme.zone,
        "contact": contact(programme, "training"),
        "now": now(),
        "notice": NOTICES.get(http_request.args.get("done", "")),
    }
    return render_template(template, **(shared | values))


def go(address: str, done: str) -> Response:
    """Answer a form: 303 to the page that shows what it did."""
    assert done in NOTICES
    joint = "&" if "?" in address else "?"
    return redirect(f"{address}{joint}done={done}", 303)


def contact(programme: Programme, purpose: str) -> str | None:
    """The e-mail address for a purpose ("training", "credits"), else the first one the programme prints, else None."""
    chosen = programme.contacts.get(purpose)
    every = [each.address for each in (*([chosen] if chosen else []), *programme.contacts.values())]
    return next((address for address in every if "@" in address), None)


def address_of(to: str) -> str:
    """The address of a `NextStep.to`. Dates stand on the page that names them as missing, under `dates-<module>`; an
    unknown kind leads to the contact page."""
    kind, _, name = to.partition(":")
    part = quote(name, safe="")
    places = {
        "dates": f"#dates-{part}",
        "equivalency": f"/equivalency/{part}",
        "retreat": f"/retreats/{part}",
        "catalogue": "/",
    }
    return places.get(kind, "/contact")
