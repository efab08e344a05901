"""What must stay together does, when tests are dealt out to several processes."""

import pytest

from tests.side_by_side import group_of


@pytest.mark.parametrize(
    ("test", "group"),
    [
        ("tests/unit/test_db.py::test_a_read[sqlite]", "tests/unit/test_db.py"),
        ("tests/unit/test_db.py::test_a_read[postgresql]", "tests/unit/test_db.py"),
        ("tests/stories/test_roster.py::test_1[sqlite]", "tests/stories/test_roster.py sqlite"),
        ("tests/stories/test_roster.py::test_1[postgresql-more]", "tests/stories/test_roster.py postgresql"),
        ("tests/stories/test_zoom_recovery.py::test_1", "tests/stories/test_zoom_recovery.py"),
        ("tests/browser/test_ladder.py::test_1[silent]", "tests/browser"),
        ("tests/browser/test_pages.py::test_2", "tests/browser"),
        ("tests/certification/test_fuzz.py::test_1[sqlite]", "tests/certification"),
    ],
)
def test_a_file_is_a_group_a_story_two_and_a_shared_stage_one(test: str, group: str) -> None:
    assert group_of(test) == group
