"""`make audit`: are vulnerabilities known in what the lock files name? Exit code 1 if so.

pip-audit asks the advisory database. What it could not ask about is said in a line of its own and is no failure: this
must run without a network too.
"""

import json
import subprocess
import sys
from pathlib import Path

# What the last line of pip-audit's error holds when the database cannot be reached.
UNREACHED = ("ConnectionError", "Timeout", "Could not connect", "HTTPError", "ServiceError")


def judge(lock: str, told: str, error: str) -> tuple[int, list[str]]:
    """The exit code and the lines for a lock file, from what pip-audit printed as JSON and from its error output."""
    try:
        packages = json.loads(told)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (error.strip().splitlines() or ["no output"])[-1]
        if any(each in last for each in UNREACHED):
            return 0, [f"NOT AUDITED: {lock}: the advisory database does not answer."]
        return 1, [f"{lock}: pip-audit failed: {last}"]
    lines = [
        f"VULNERABLE: {lock}: {each['name']} {each['version']}: {found['id']}, "
        f"fixed in {', '.join(found['fix_versions']) or 'no release'}"
        for each in packages
        for found in each.get("vulns", ())
    ]
    failed = bool(lines)
    if unknown := sum("skip_reason" in each for each in packages):
        lines.append(f"NOT AUDITED: {lock}: {unknown} of {len(packages)} packages, which the advisory database lacks.")
    if not lines:
        lines.append(f"{lock}: no vulnerability is known in {len(packages)} packages.")
    return int(failed), lines


def main(locks: list[str]) -> int:
    program = str(Path(sys.executable).with_name("pip-audit"))
    worst = 0
    for lock in locks:
        command = [program, "--disable-pip", "--progress-spinner", "off", "--format", "json", "--requirement", lock]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        code, lines = judge(lock, done.stdout, done.stderr)
        print("\n".join(lines))
        worst = max(worst, code)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
