"""Reports, polls and instances of the simulated Zoom."""

from typing import Any
from urllib.parse import unquote

from flask import Blueprint, Response, jsonify, request

from sandbox.zoom.account import poll_answers, row, text
from sandbox.zoom.rest_answers import Rest, page, refuse
from sandbox.zoom.training_day import TrainingDay


def report_pages(pages: Blueprint, rest: Rest) -> None:
    @pages.get("/v2/report/<any(meeting, webinar):kind>s/<path:step>/participants")
    def participants(kind: str, step: str) -> Response:
        rows = _rows(rest, *_instance(rest, step, kind))
        if request.args.get("include_fields") != "registrant_id":
            rows = [{name: value for name, value in each.items() if name != "registrant_id"} for each in rows]
        return page(rest, "participants", rows)

    @pages.get("/v2/past_meetings/<path:step>/participants")
    def past_participants(step: str) -> Response:
        return page(rest, "participants", _rows(rest, *_instance(rest, step, "meeting")))

    @pages.get("/v2/report/<any(meeting, webinar):kind>s/<path:step>/polls")
    def polls(kind: str, step: str) -> Response:
        day, uuid = _instance(rest, step, kind)
        about = {"id": day.meeting_id, "uuid": uuid, "start_time": text(day.opens_at)}
        return jsonify({**about, "questions": list(poll_answers(day)) if uuid == day.uuid else []})

    @pages.get("/v2/past_<any(meeting, webinar):kind>s/<number>/instances")
    def instances(kind: str, number: str) -> Response:
        held = [each for each in rest.account.instances_of(number) if not rest.player.is_playing(each["uuid"])]
        return jsonify({f"{kind}s": held})


def _instance(rest: Rest, step: str, kind: str) -> tuple[TrainingDay, str]:
    """The day and the uuid of a step of a path, which the server has decoded once. Encoded twice is a must where a
    slash begins the uuid or two stand in a row, and wrong where there is none."""
    uuid = unquote(step)
    day = rest.account.day(uuid)
    is_encoded_twice = uuid != step
    is_wrong = "/" not in uuid if is_encoded_twice else uuid.startswith("/") or "//" in uuid
    if day is None or day.kind != kind or is_wrong:
        refuse(404, 3001, "Meeting does not exist.")
    if rest.player.is_playing(uuid):
        refuse(404, 3001, "This meeting has not ended yet.")
    return day, uuid


def _rows(rest: Rest, day: TrainingDay, uuid: str) -> list[dict[str, Any]]:
    """The rows as the switches want them at this ask; only a first page counts as one."""
    switches = rest.board.now
    ask = _ask(rest, uuid) - switches.not_ready
    if ask <= 0:
        refuse(404, 3001, "This meeting's report is not ready.")
    rows = [each for each in day.report_rows(uuid) if each["user_email"] not in switches.missing]
    span = (day.opens_at, day.closes_at)
    rows += [row(f"9{count}", span, "in_meeting") for count in range(switches.extra)]
    rows += [row(f"8{count}", span, "in_waiting_room") for count in range(switches.waiting)]
    if switches.wrong_duration:
        rows = [{**each, "duration": each["duration"] // 60} for each in rows]
    return rows[: len(rows) * ask // (switches.growing + 1)] if ask <= switches.growing else rows


def _ask(rest: Rest, uuid: str) -> int:
    """How often this list was asked for, with this time."""
    with rest.lock:
        key = f"{request.endpoint}|{uuid}"
        if not request.args.get("next_page_token"):
            rest.asks[key] += 1
        return rest.asks[key]
