"""Brings Zoom's registrants in line with the gate: registers who is wanted, cancels who is not.

Batches where several are due, single calls where a batch fails or leaves somebody out. Nothing is done twice: the same
address gets the same registration again, and where an answer was lost Zoom's list of registrants is looked at first.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lti_tool.db import Database
from lti_tool.errors import NoAnswer, OutboundError
from lti_tool.sessions.by_hand import links
from lti_tool.tasks import Clock, backoff
from zoom_adapter import due_places
from zoom_adapter.api_errors import ZoomRefused, text_of
from zoom_adapter.client import NewRegistrant, Registered, ZoomApi
from zoom_adapter.due_places import DuePlace, Job
from zoom_adapter.registrants import not_approved, trainees_by_email

log = logging.getLogger(__name__)

# What is wrong with one person's registration, and stays so until somebody mends it.
FOR_GOOD = ("zoom_host_cannot_register", "zoom_request_invalid")
# What is wrong with the meeting, and may be mended by staff at Zoom.
OF_MEETING = ("zoom_registrants_full", "zoom_not_found", "zoom_not_permitted")
# After these a batch is not worth trying one by one.
HOPELESS = (*OF_MEETING, "zoom_token_refused")
LOOK_AGAIN = timedelta(minutes=30)
# While Zoom is silent: a class may be about to begin when it speaks again.
LONGEST_PAUSE = timedelta(minutes=5)
# After so many attempts people are tried alone: it may be one of them on whom Zoom breaks down.
TOGETHER = 3
LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a call did not succeed and when it is tried again; `for_good`: not by itself. `was_asked`: the call may count
    at Zoom; `is_alone`: others may fare better."""

    code: str
    until: datetime
    was_asked: bool
    for_good: bool = False
    is_alone: bool = False


class Registrar:
    """Does what is due, a few places of one meeting at a time. `claim` and `do` are made for a crew of threads."""

    def __init__(self, database: Database, api: ZoomApi, clock: Clock) -> None:
        self._database = database
        self._api = api
        self._clock = clock

    def claim(self, limit: int) -> list[Job]:
        """Take up to so many jobs that nobody else has."""
        jobs: list[Job] = []
        while len(jobs) < limit and (job := due_places.claim(self._database, self._clock())) is not None:
            jobs.append(job)
        return jobs

    def do(self, job: Job) -> None:
        """Tell Zoom, and record what became of each place."""
        places: Sequence[DuePlace] = job.places
        if job.act == "cancel":
            self._cancel(job, places)
            return
        places = self._without_shared(job, places)
        if any(each.is_unsure for each in places):
            places = self._adopt(job, places)
        if len(places) > 1 and all(each.attempts <= TOGETHER for each in places):
            places = self._register_many(job, places)
        self._one_by_one(job, places, self._register)

    def run(self) -> None:
        """Work until nothing is due."""
        while jobs := self.claim(1):
            self.do(jobs[0])

    def _without_shared(self, job: Job, places: Sequence[DuePlace]) -> list[DuePlace]:
        """Those whose address is theirs alone; Zoom would give two people with one address one registration."""
        with self._database.read() as connection:
            owners = trainees_by_email(connection, {each.email for each in places})
            linked = links.in_force(connection, job.meeting_id).email
        own = [each for each in places if linked.get(each.email, owners.get(each.email)) == each.trainee_id]
        shared = [each for each in places if each not in own]
        self._refuse(job, shared, "address_shared")
        return own

    def _adopt(self, job: Job, places: Sequence[DuePlace]) -> list[DuePlace]:
        """Record who is registered at Zoom already, since an answer was lost; the rest. Where Zoom refuses the list,
        registering again does no harm; while it is silent, nobody's few calls of the day are spent."""
        try:
            there = self._registered_at_zoom(job)
        except NoAnswer as error:
            self._stop(job, [], places, _trouble(error, places[0], self._clock()))
            return []
        except OutboundError as error:
            log.warning("registrants could not be listed", extra={"meeting": job.meeting_id, "code": error.code})
            return list(places)
        return self._keep(job, places, there)

    def _registered_at_zoom(self, job: Job) -> list[Registered]:
        rows = self._api.registrants(job.kind, job.meeting_id, "approved")
        found = [
            Registered(text_of(row, "id"), text_of(row, "join_url"), text_of(row, "email").lower()) for row in rows
        ]
        return [each for each in found if all(each)]

    def _register_many(self, job: Job, places: Sequence[DuePlace]) -> list[DuePlace]:
        """One call for all of them; those that are left for single calls."""
        try:
            done = self._api.register_many(job.kind, job.meeting_id, [_person(each) for each in places])
        except OutboundError as error:
            if isinstance(error, NoAnswer) or error.code in HOPELESS:
                self._stop(job, places, [], _trouble(error, places[0], self._clock()))
                return []
            log.info("a batch was refused", extra={"meeting": job.meeting_id, "code": error.code})
            return list(places)
        return self._keep(job, places, done)

    def _register(self, job: Job, place: DuePlace) -> None:
        done = self._api.register(job.kind, job.meeting_id, _person(place))
        self._keep(job, [place], [done._replace(email=place.email)])

    def _keep(self, job: Job, places: Sequence[DuePlace], there: Iterable[Registered]) -> list[DuePlace]:
        """Record the registrations of these people; those who have none."""
        by_email = {each.email: each for each in there}
        found = [(each, by_email[each.email]) for each in places if each.email in by_email]
        with self._database.read() as connection:
            held = not_approved(connection, job.meeting_id, [each.registrant_id for _, each in found])
        approved = [each for each in found if each[1].registrant_id not in held or self._approve(job, *each)]
        now = self._clock()
        with self._database.write() as connection:
            for place, done in approved:
                due_places.registered(connection, job, place, done.registrant_id, done.join_url, now)
        return [each for each in places if each.email not in by_email]

    def _approve(self, job: Job, place: DuePlace, found: Registered) -> bool:
        """Whoever registered at Zoom while the gate was shut was denied there, and gets that registration again. One
        whom Zoom does not approve is put off; nobody else waits for that."""
        try:
            self._api.change_status(job.kind, job.meeting_id, "approve", [(found.registrant_id, found.email)])
        except OutboundError as error:
            self._put_off(job, [place], _trouble(error, place, self._clock()), was_asked=True)
            return False
        return True

    def _cancel(self, job: Job, places: Sequence[DuePlace]) -> None:
        places = self._with_registrations(job, places)
        if len(places) > 1:
            try:
                self._cancel_all(job, places)
                return
            except OutboundError as error:
                if isinstance(error, NoAnswer) or error.code == "zoom_token_refused":
                    self._stop(job, places, [], _trouble(error, places[0], self._clock()))
                    return
        self._one_by_one(job, places, self._cancel_one)

    def _cancel_all(self, job: Job, places: Sequence[DuePlace]) -> None:
        who = [(each.registrant_id, each.email) for each in places]
        self._api.change_status(job.kind, job.meeting_id, "cancel", who)
        self._keep_cancelled(job, places)

    def _keep_cancelled(self, job: Job, places: Sequence[DuePlace]) -> None:
        with self._database.write() as connection:
            due_places.cancelled(connection, job, places, self._clock())

    def _cancel_one(self, job: Job, place: DuePlace) -> None:
        """Whom Zoom will not cancel may be cancelled already, or the whole meeting is gone."""
        try:
            self._cancel_all(job, [place])
        except ZoomRefused as error:
            if error.code not in ("zoom_not_found", "zoom_request_invalid") or self._is_registered(job, place):
                raise
            self._keep_cancelled(job, [place])

    def _is_registered(self, job: Job, place: DuePlace) -> bool:
        return place.registrant_id in {each.registrant_id for each in self._still_registered(job)}

    def _still_registered(self, job: Job) -> list[Registered]:
        """Nobody in a meeting that is gone."""
        try:
            return self._registered_at_zoom(job)
        except ZoomRefused as error:
            if error.code == "zoom_not_found":
                return []
            raise

    def _with_registrations(self, job: Job, places: Sequence[DuePlace]) -> list[DuePlace]:
        """Those who are registered, each with the registration: where an answer was lost it is looked for first. Whom
        Zoom does not have needs no cancelling."""
        unsure = [each for each in places if each.is_unsure]
        sure = [each for each in places if not each.is_unsure]
        if not unsure:
            return sure
        try:
            there = {each.email: each.registrant_id for each in self._still_registered(job)}
        except OutboundError as error:
            self._stop(job, [], unsure, _trouble(error, unsure[0], self._clock()))
            return sure
        self._keep_cancelled(job, [each for each in unsure if each.email not in there])
        return sure + [replace(each, registrant_id=there[each.email]) for each in unsure if each.email in there]

    def _one_by_one(self, job: Job, places: Sequence[DuePlace], call: Callable[[Job, DuePlace], None]) -> None:
        """A trouble that is not one person's own ends it: the others are put off."""
        for position, place in enumerate(places):
            with self._database.write() as connection:
                if not due_places.still_held(connection, job, place, self._clock()):
                    continue
            try:
                call(job, place)
            except OutboundError as error:
                trouble = _trouble(error, place, self._clock())
                if not trouble.is_alone:
                    self._stop(job, [place], places[position + 1 :], trouble)
                    return
                self._fail(job, place, trouble)

    def _fail(self, job: Job, place: DuePlace, trouble: Trouble) -> None:
        if trouble.for_good and job.act == "register":
            self._refuse(job, [place], trouble.code)
        else:
            self._put_off(job, [place], trouble, was_asked=trouble.was_asked)

    def _stop(self, job: Job, asked: Sequence[DuePlace], rest: Sequence[DuePlace], trouble: Trouble) -> None:
        """Those for whom Zoom was asked met a trouble that the rest would meet too."""
        ids = {"meeting": job.meeting_id, "code": trouble.code, "count": len(asked) + len(rest)}
        log.warning("places wait for Zoom", extra=ids)
        self._put_off(job, asked, trouble, was_asked=trouble.was_asked)
        self._put_off(job, rest, trouble, was_asked=False)
        if trouble.code in OF_MEETING and job.act == "register":
            with self._database.write() as connection:
                due_places.hold_back(connection, job.meeting_id, trouble.code, trouble.until)

    def _put_off(self, job: Job, places: Sequence[DuePlace], trouble: Trouble, *, was_asked: bool) -> None:
        now = self._clock()
        with self._database.write() as connection:
            for place in places:
                due_places.put_off(connection, job, place, trouble.code, trouble.until, now, was_asked=was_asked)

    def _refuse(self, job: Job, places: Sequence[DuePlace], code: str) -> None:
        if places:
            log.warning("places are refused", extra={"meeting": job.meeting_id, "code": code, "count": len(places)})
            with self._database.write() as connection:
                for place in places:
                    due_places.refused(connection, job, place, code, self._clock())


def _trouble(error: OutboundError, place: DuePlace, now: datetime) -> Trouble:
    if isinstance(error, NoAnswer):
        is_alone = error.code != "no_answer" and place.attempts > TOGETHER
        until = now + min(backoff(place.attempts), LONGEST_PAUSE)
        return Trouble(error.code, until, was_asked=True, is_alone=is_alone)
    if not isinstance(error, ZoomRefused):
        return Trouble(error.code, now + LOOK_AGAIN, was_asked=True)
    until = max(error.retry_at, now) if error.retry_at else now + LOOK_AGAIN
    was_asked = error.answered != 0 and error.code != "zoom_rate_limited"
    is_alone = error.code in (*FOR_GOOD, "zoom_refused", "zoom_registrant_limit")
    return Trouble(error.code, until, was_asked, for_good=error.code in FOR_GOOD, is_alone=is_alone)


def _person(place: DuePlace) -> NewRegistrant:
    """Zoom wants a first name; where we know none, the host at least sees who is who to us."""
    *first, last = place.name.split() or ["Participant", str(place.trainee_id)]
    if not first:
        first, last = [last], ""
    return NewRegistrant(place.email, " ".join(first)[:LONGEST_NAME], last[:LONGEST_NAME])
