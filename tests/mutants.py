"""The table of docs/testing.md: how many mutants of each module the tests killed in the last `make mutants`."""

import sys
from collections import Counter

from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.stats import status_by_exit_code

ENOUGH = 0.9
# A mutant that never ends is killed by the time limit.
KILLED = ("killed", "timeout")


def main() -> int:
    """Exit code 1 if the tests killed fewer than 90 % of one module's mutants."""
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
    sys.stdout.writelines(f"| {' | '.join(line)} |\n" for line in lines)
    for path in weak:
        sys.stderr.write(f"The tests killed fewer than {ENOUGH:.0%} of the mutants of {path}.\n")
    return bool(weak)


def _killed(found: Counter[str]) -> int:
    return sum(found[status] for status in KILLED)


def _figures(found: Counter[str]) -> tuple[str, str, str]:
    return f"{found.total():,}", f"{_killed(found):,}", f"{_killed(found) / max(1, found.total()):.1%}"


if __name__ == "__main__":
    sys.exit(main())
