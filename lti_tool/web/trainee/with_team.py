"""What a trainee sent to the training team, with its state: requests, questions about a day, accommodations,
applications."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row

from lti_tool.attendance import accommodations, reviews
from lti_tool.gates import equivalency
from lti_tool.languages import gettext
from lti_tool.programme.model import Programme
from lti_tool.retreats import applications


@dataclass(frozen=True, slots=True)
class Sent:
    """One request, question or application; its state is in its `row`."""

    kind: Literal["equivalency", "question", "accommodation", "application"]
    title: str
    to: str
    row: Any


def load(
    connection: Connection, programme: Programme, trainee_id: int, requests: Iterable[Row[Any]] | None = None
) -> list[Sent]:
    """What is not withdrawn, the latest first. `requests` are those for equivalencies, if the page has them already."""
    if requests is None:
        requests = equivalency.of_trainee(connection, trainee_id)
    sent = [
        *(
            Sent(
                "equivalency",
                gettext("Training elsewhere: %(provider)s", provider=each.provider_name),
                f"/equivalency/{each.target}",
                each,
            )
            for each in requests
        ),
        *(
            Sent(
                "question",
                gettext("Your attendance of %(title)s", title=programme.offering_title(each.module_id)),
                f"/sessions/{each.live_session_id}#not-right",
                each,
            )
            for each in reviews.of_trainee(connection, trainee_id)
        ),
        *(
            Sent("accommodation", gettext("Accommodation"), "/help#accommodations", each)
            for each in accommodations.of_trainee(connection, trainee_id)
        ),
        *(
            Sent("application", programme.offering_title(each.retreat_id), f"/retreats/{each.retreat_id}", each)
            for each in applications.of_trainee(connection, trainee_id)
        ),
    ]
    kept = (each for each in sent if each.row.state != "withdrawn")
    return sorted(kept, key=lambda each: each.row.created_at, reverse=True)
