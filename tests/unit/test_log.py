"""A log line holds a fixed sentence and ids: whatever could be personal is left out."""

import json
import logging

from lti_tool.log import JsonLines, configuration


def line(
    message: str, *arguments: object, extra: dict[str, object] | None = None, error: BaseException | None = None
) -> str:
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.getLogger("lti_tool.x").makeRecord(
        "lti_tool.x", logging.WARNING, "file.py", 1, message, arguments, exc_info, extra=extra
    )
    return JsonLines().format(record)


def test_a_line_is_one_json_object_with_its_ids() -> None:
    said = json.loads(line("task failed", extra={"task": 7, "kind": "settle"}))
    assert (said["message"], said["level"], said["task"], said["kind"]) == ("task failed", "warning", 7, "settle")
    assert said["time"].endswith("+00:00")


def test_the_arguments_of_a_message_are_left_out() -> None:
    assert "jo@example.org" not in line("Exception on %s [%s]", "/calendar/jo@example.org", "GET")


def test_unknown_fields_are_left_out() -> None:
    assert "jo@example.org" not in line("x", extra={"email": "jo@example.org"})


def test_a_failure_is_told_by_its_class_and_place_without_its_text() -> None:
    try:
        raise ValueError("jo@example.org")
    except ValueError as error:
        said = line("x", error=error)
    assert "jo@example.org" not in said
    assert json.loads(said)["failure"] == "ValueError"
    assert json.loads(said)["where"][0].startswith("test_log.py:")


def test_a_line_stays_one_line_whatever_is_in_it() -> None:
    assert "\n" not in line("two\nlines", extra={"code": "a\nb"})


def test_other_peoples_code_speaks_from_warnings_on() -> None:
    given = configuration("DEBUG")
    assert given["root"]["level"] == "WARNING"
    assert given["loggers"]["lti_tool"]["level"] == "DEBUG"
