"""What pages have in common: programme, contact address, the notice after a form, next steps, parts of a long list.

A notice travels as a short code in the address (`?done=request_sent`), because a frame may keep no cookie for it.
"""

import re
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

from flask import Flask, redirect, render_template
from flask import request as http_request
from flask.templating import Environment
from jinja2 import Template
from sqlalchemy import Connection, Row, Select, func, select
from werkzeug.wrappers import Response

from lti_tool.languages import gettext
from lti_tool.programme.model import Programme
from lti_tool.web.request import now, read_id

T = TypeVar("T")


class OneCompiler(Environment):
    """Compiles each template once. After a start a whole class may open the same page; each thread would compile it for
    itself, which took longer than all their pages."""

    _lock = RLock()

    def get_template(
        self, name: str | Template, parent: str | None = None, globals: MutableMapping[str, Any] | None = None
    ) -> Template:
        """The compiled template of this name."""
        with self._lock:
            return super().get_template(name, parent, globals)


def register(app: Flask) -> None:
    """Let the app compile its templates in this way, and each of them ask for the instant of the request: `asked_at()`.
    A part that is imported without the page's values is made once, not anew for each page. Call it before anything else
    that concerns templates."""
    app.jinja_environment = OneCompiler
    app.jinja_env.globals["asked_at"] = now


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence above the page that follows a form."""

    kind: Literal["ok", "info"]
    says: str


# The pages of the desk with forms that also stand elsewhere.
BACK = re.compile(r"/desk(/people/[0-9]{1,18})?")
NOTICES = {
    "request_sent": Notice("ok", "Your request was sent. You will see the answer here."),
    "answer_sent": Notice("ok", "Your answer was sent. The training team continues with your request."),
    "request_withdrawn": Notice("info", "Your request was withdrawn."),
    "request_approved": Notice("ok", "Approved. Whatever depends on it is now open for this person."),
    "request_declined": Notice("info", "Declined. The person sees your text on their page."),
    "revocation_proposed": Notice("info", "Proposed. It is revoked once another member of staff confirms it."),
    "request_revoked": Notice("info", "Revoked. Whatever depended on it is locked now; nothing else has changed."),
    "revocation_dropped": Notice("ok", "The approval is kept."),
    "question_sent": Notice("info", "Asked. The person sees your question on their page and can answer it there."),
    "application_sent": Notice("ok", "Your application was sent."),
    "application_withdrawn": Notice("info", "Your application was withdrawn."),
    "roster_asked": Notice("info", "The roster is being read. Reload this page in a few seconds."),
    "attendance_asked": Notice("info", "Attendance is being updated. Reload this page in a few seconds."),
    "platform_approved": Notice("ok", "Approved. This platform can now launch Gatehouse."),
    "platform_disabled": Notice("info", "Switched off. Launches from this platform are now refused."),
    "platform_enabled": Notice("ok", "Switched on. This platform can launch Gatehouse again."),
    "course_confirmed": Notice("ok", "Confirmed. Units that are added to this course later will appear here."),
    "unit_assigned": Notice("ok", "Chosen. The unit opens this module from its next launch."),
    "unit_unassigned": Notice("info", "Undone. The unit opens the dashboard again."),
    "score_again": Notice("ok", "Queued. The score will be sent within a minute."),
    "regrade_sent": Notice("ok", "Queued. Our score replaces the grade that was entered on the platform."),
    "regrade_kept": Notice("info", "The grade on the platform is kept. Nothing more is sent for this score."),
    "presence_asked": Notice("ok", "Asked. Answers are counted below."),
    "presence_answered": Notice("ok", "Thank you, your answer is recorded."),
    "person_matched": Notice(
        "ok", "Linked. The attendance it concerns is being recalculated. Reload in a few seconds."
    ),
    "person_unlinked": Notice("info", "Link removed. The attendance it concerned is being recalculated."),
    "role_granted": Notice("ok", "Granted. It counts from their next page on."),
    "role_ended": Notice("info", "Ended. It counts from their next page on."),
    "people_joined": Notice("ok", "Joined. Everything they have earned belongs to one person now."),
    "people_kept_apart": Notice("ok", "Noted. These two are no longer on the list of people who share an address."),
    "people_separated": Notice("info", "Separated. Each has again what was theirs before."),
    "person_left_alone": Notice("info", "Removed. The person is no longer on this list."),
    "day_let_stand": Notice("ok", "Accepted. The day counts as it is, unless new attendance data arrives."),
    "correction_proposed": Notice("info", "Proposed. It counts once another member of staff confirms it."),
    "correction_confirmed": Notice("ok", "Confirmed. Attendance of the session is being recalculated."),
    "correction_undone": Notice("info", "Undone. Attendance of the session is being recalculated."),
    "question_about_day": Notice("ok", "Sent. You will see the training team's answer here."),
    "question_withdrawn": Notice("info", "Withdrawn. It will not be answered."),
    "question_answered": Notice("ok", "Sent. The person sees your answer on the page of their day."),
    "accommodation_asked": Notice("ok", "Sent. You will see the training team's answer here and on your home page."),
    "accommodation_withdrawn": Notice("info", "Withdrawn. Its text will be deleted."),
    "accommodation_answered": Notice("ok", "Sent. The person sees your answer on the pages Home and Help."),
    "accommodation_closed": Notice("info", "Closed. Its text will be deleted."),
    "session_added": Notice("ok", "Added. It appears on the page of its module and in the calendars."),
    "sessions_added": Notice("ok", "Added. The sessions appear on the page of their module and in the calendars."),
    "session_edited": Notice("ok", "Saved. Pages and calendars show it from now on."),
    "session_moved": Notice("ok", "Moved. Pages and calendars show the new time. Registrations at Zoom stay."),
    "session_cancelled": Notice("info", "Cancelled. Pages and calendars show it as cancelled."),
    "reports_asked": Notice("info", "Zoom is being asked. Reload this page in a few seconds."),
    "reports_waived": Notice("info", "Recorded. Attendance is being calculated without the report."),
    "session_ended": Notice("ok", "Recorded. Attendance is being calculated. Reload this page in a few seconds."),
    "session_locked": Notice("ok", "Locked. These numbers no longer change."),
    "session_reopened": Notice("info", "Open again. Data received since the lock is being added."),
    "rooms_named": Notice("ok", "Saved. The names appear on every attendance page of this session."),
    "place_again": Notice("ok", "Zoom will be asked again within a few seconds. Reload this page then."),
    "settings_again": Notice("info", "The settings are being read. Reload this page in a few seconds."),
    "messages_chosen": Notice("ok", "Saved."),
    "message_again": Notice("ok", "Queued. The message is sent again within a few minutes."),
    "exception_made": Notice("ok", "Open for this person until the end of the day you chose."),
    "exception_ended": Notice("info", "Ended. The gate counts again for this person."),
    "completions_imported": Notice("ok", "Imported. Whatever depends on these modules is now open for these people."),
    "undo_proposed": Notice("info", "Proposed. The import is undone once another member of staff confirms it."),
    "undo_dropped": Notice("ok", "The import is kept."),
    "import_undone": Notice("info", "Undone. Whatever depended on it is locked now; attendance and credit stay."),
    "completion_added": Notice("ok", "Recorded. Whatever depends on it is now open for this person."),
    "equivalency_recorded": Notice("ok", "Recorded and approved. Whatever depends on it is now open for this person."),
    "licence_added": Notice("ok", "Recorded. Credit that waits for it is decided again within a minute."),
    "materials_added": Notice("ok", "Added. Trainees see it on the page of the module as the list says."),
    "material_saved": Notice("ok", "Saved as a new version."),
    "material_hidden": Notice("info", "Hidden. Trainees no longer see it."),
    "material_shown": Notice("ok", "Shown. Trainees see it on the page of the module as the list says."),
    "material_deleted": Notice("info", "Deleted. You can undo this for 30 days, under “Deleted” below the list."),
    "material_restored": Notice("ok", "Restored. It is back in the list."),
    "material_moved": Notice("ok", "Moved."),
    "material_version_deleted": Notice("info", "The file of that version is deleted. You can undo this for 30 days."),
    "material_version_restored": Notice("ok", "The file of that version is back."),
    "columns_again": Notice("ok", "The grade columns of this unit will be looked up within a minute."),
}


def show(template: str, programme: Programme, /, **values: Any) -> str:
    """Render a page with the programme, its zone, its contact address and the notice of a form just sent."""
    shared = {
        "programme": programme,
        "zone": programme.zone,
        "contact": programme.contact("training"),
        "now": now(),
        "notice": NOTICES.get(http_request.args.get("done", "")),
    }
    return render_template(template, **(shared | values))


def go(address: str, done: str) -> Response:
    """Answer a form with a redirect (303) to the page that shows the result."""
    assert done in NOTICES
    return redirect(f"{address}{'&' if '?' in address else '?'}done={done}", 303)


def back(default: str) -> str:
    """Where a form that stands on several pages leads back to: to Today or a person's page, as its field `back` says,
    else to `default`."""
    given = http_request.form.get("back", "")
    return given if BACK.fullmatch(given) else default


def address_of(to: str) -> str:
    """The address of a `NextStep.to`. Dates are on the same page, under `dates-<module>`. An unknown kind leads to the
    contact page."""
    kind, _, name = to.partition(":")
    part = quote(name, safe="")
    places = {
        "dates": f"#dates-{part}",
        "equivalency": f"/equivalency/{part}",
        "retreat": f"/retreats/{part}",
        "catalogue": "/",
    }
    return places.get(kind, "/help")


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """Part `number` (from 1) of a list of `total` rows, `size` at a time; `firsts` holds the first row of every part (a
    part that SQL cut out has their positions)."""

    rows: Sequence[T]
    number: int
    total: int
    firsts: Sequence[Any]
    size: int = 1

    @property
    def count(self) -> int:
        """The number of parts, at least 1."""
        return max(len(self.firsts), 1)

    @property
    def span(self) -> str:
        """Which rows of the list these are: "51–100 of 122"."""
        first = (self.number - 1) * self.size + 1
        return gettext("%(first)s–%(last)s of %(all)s", first=first, last=first + len(self.rows) - 1, all=self.total)

    @property
    def left_out(self) -> int:
        """The number of rows on other parts."""
        return self.total - len(self.rows)


def part(rows: Sequence[T], size: int, number: int = 1) -> Part[T]:
    """Part `number` of these rows, `size` at a time; the last part if there are fewer."""
    firsts = rows[::size]
    number = min(max(number, 1), max(len(firsts), 1))
    return Part(rows[(number - 1) * size : number * size], number, len(rows), firsts, size)


def sql_part(
    connection: Connection, query: Select[Any], size: int, number: int = 1, *, total: int | None = None
) -> Part[Row[Any]]:
    """Part `number` of the rows of a query that is in order; the last part if there are fewer. Only this part is read.
    `total` is how many rows the query has, where that is known already."""
    if total is None:
        total = connection.execute(select(func.count()).select_from(query.order_by(None).subquery())).scalar_one()
    firsts = range(0, total, size)
    number = min(max(number, 1), max(len(firsts), 1))
    rows = connection.execute(query.limit(size).offset((number - 1) * size)).all()
    return Part(rows, number, total, firsts, size)


def asked_part() -> int:
    """The part that `?page=` asks for; 1 if it is missing or not a number."""
    try:
        return max(read_id(http_request.args.get("page", "")), 1)
    except ValueError:
        return 1
