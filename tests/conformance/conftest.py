"""The tool under test and the two platforms it is certified against, each started once."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from conformance.cases import case_of
from conformance.platform import open_platform
from conformance.results import Result
from conformance.run import Certification
from conformance.scored_module import scored_module
from conformance.tool import HOST, served
from lti_tool.settings import Settings, load_settings
from sandbox.ports import free_port
from tests.conformance.openedx import MADE_BY_ITSELF, OpenEdx, open_lms
from tests.conftest import DEMO_PROGRAMME, FIELD_KEY, PUBLIC_URL

PLATFORMS = ("generic", "openedx")


def site(folder: Path, public_url: str = PUBLIC_URL) -> Settings:
    """The settings of a site that has published nothing yet."""
    environment = {
        "GATEHOUSE_PUBLIC_URL": public_url,
        "GATEHOUSE_SECRET_KEY": "the secret key of the tests, which is long enough",
        "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
        "GATEHOUSE_DATA": str(folder),
        "GATEHOUSE_PROGRAMME": str(DEMO_PROGRAMME),
    }
    return load_settings(environment)


@pytest.fixture(scope="package", params=PLATFORMS)
def certification(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certification]:
    """The tool with one of the platforms, which is registered with it."""
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        if request.param == "generic":
            tool = stack.enter_context(served(site(folder)))
            platform = stack.enter_context(open_platform(tool, scored_module(tool).id))
        else:
            port = free_port()
            tool = stack.enter_context(served(site(folder, f"http://{HOST}:{port}"), port=port))
            platform = stack.enter_context(open_lms(folder, tool.public_url, scored_module(tool).id))
        found = Certification(tool, platform)
        found.introduce()
        yield found


@pytest.fixture
def passes(certification: Certification) -> Callable[[int], Result]:
    """Run the test of this number and hold it to everything that must hold in it."""

    def run(number: int) -> Result:
        result = certification.run(case_of(number))
        assert result.passed, [f"{each.says}: {each.seen}" for each in result.findings if not each.holds]
        if isinstance(certification.platform, OpenEdx):
            assert {each.as_sent for each in result.messages} == {number in MADE_BY_ITSELF}
        return result

    return run
