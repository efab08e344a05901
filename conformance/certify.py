"""Every test against the generic platform, from the settings of a site: what `gatehouse certify` runs."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from conformance.cases import CASES, Case
from conformance.pack import Evidence
from conformance.platform import open_platform
from conformance.results import Result
from conformance.run import Certification
from conformance.scored_module import scored_module
from conformance.tool import served
from lti_tool.settings import Settings


def run_tests(settings: Settings, tell: Callable[[Result], None], cases: Sequence[Case] = CASES) -> Evidence:
    """Run the tests in order; `tell` hears of each as soon as it is done.

    Raises NotFound `programme_not_published`.
    """
    started_at = datetime.now(UTC)
    with served(settings) as tool:
        programme_version, module = tool.published.version, scored_module(tool)
        with open_platform(tool, module.id) as platform:
            certification = Certification(tool, platform)
            certification.introduce()
            results = []
            for case in cases:
                results.append(certification.run(case))
                tell(results[-1])
        return Evidence(
            public_url=tool.public_url,
            programme_version=programme_version,
            module_completed_here=module.id if module.is_completed_here else None,
            platform=platform.title,
            started_at=started_at,
            finished_at=datetime.now(UTC),
            results=results,
        )
