"""The story's stage for tests: genuine Open edX code, the tool and the Zoom player as processes of their own."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from sandbox.story import Story
from tests.postgres import Postgres
from tests.stages import opened_stage

_numbers = count(1)


@pytest.fixture(scope="module")
def story(
    backend_of_module: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """One story per database: on SQLite web and worker share a process, on PostgreSQL they are two."""
    folder: Path = tmp_path_factory.mktemp("stage")
    url = ""
    if backend_of_module == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        url = server.create(f"story_{next(_numbers)}")
    with opened_stage(folder, url) as stage:
        yield Story(stage)
