"""Measures how many small changes of the pure modules their tests notice (docs/testing.md): `make mutants`.

    .venv-mutants/bin/python requirements/mutants.py [NAME…]

mutmut makes the mutants and runs the tests of each in a process of its own; names may have wildcards.
"""

import gc
import sys
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import pytest
from _pytest.config import _prepareconfig
from mutmut.__main__ import cli
from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.runners.harness import PytestRunner
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import change_cwd
from mutmut.workers import isolation

ENOUGH = 0.9
# A mutant that never ends is killed by the time limit.
KILLED = ("killed", "timeout")


class CollectedTests(PytestRunner):
    """Collects all tests once, before a process is forked for each mutant. pytest takes longer to find the tests of a
    mutant than to run them."""

    session: pytest.Session | None = None

    def warm_up(self) -> None:
        with change_cwd("mutants"):
            arguments = [*self._pytest_add_cli_args_test_selection, *self._pytest_add_cli_args]
            settings = _prepareconfig(["--rootdir=.", "--capture=no", "--tb=no", *arguments])
            settings._do_configure()
            self.session = pytest.Session.from_config(settings)
            settings.hook.pytest_sessionstart(session=self.session)
            self.session.perform_collect()
        gc.freeze()  # or every process that is forked copies what was collected

    def run_tests(self, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        """0 if all of these tests pass, 1 after the first that fails."""
        if self.session is None:
            return super().run_tests(mutant_name=mutant_name, tests=tests)
        wanted = set(tests)
        items = [item for item in self.session.items if item.nodeid in wanted]
        assert len(items) == len(wanted)
        with change_cwd("mutants"):
            for item, following in pairwise([*items, None]):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if self.session.testsfailed:
                    return 1
        return 0


def scores() -> int:
    """Prints the table of docs/testing.md. Returns 1 if the tests killed fewer than 90 % of one module's mutants."""
    whole: Counter[str] = Counter()
    weak = []
    lines = [("module", "mutants", "killed", "share"), ("---", "---:", "---:", "---:")]
    for path in config().only_mutate:
        data = SourceFileMutationData(path=path)
        data.load()
        found = Counter(status_by_exit_code[code] for code in data.exit_code_by_key.values() if code is not None)
        if not found:
            continue
        whole += found
        lines.append((f"`{path}`", *_figures(found)))
        if _killed(found) < ENOUGH * found.total():
            weak.append(path)
    lines.append(("all", *_figures(whole)))
    for line in lines:
        print(f"| {' | '.join(line)} |")
    for path in weak:
        print(f"The tests killed fewer than {ENOUGH:.0%} of the mutants of {path}.", file=sys.stderr)
    return bool(weak)


def _killed(found: Counter[str]) -> int:
    return sum(found[status] for status in KILLED)


def _figures(found: Counter[str]) -> tuple[str, str, str]:
    return f"{found.total():,}", f"{_killed(found):,}", f"{_killed(found) / max(1, found.total()):.1%}"


if __name__ == "__main__":
    isolation.PytestRunner = CollectedTests
    cli(["run", *sys.argv[1:]], standalone_mode=False)
    sys.exit(scores())
