"""`make demo` and `make demo-check`: the whole story on one machine, by hand in a browser or walked through by script.

python -m sandbox.demo            start everything, print one address, run until Ctrl-C
python -m sandbox.demo --check    walk through the story; exit 0, or 1 with the step that failed
"""

import argparse
import shutil
import signal
import sys
import threading
from pathlib import Path

from sandbox.stage import ROOT, Stage, StageError
from sandbox.story import StepFailed, Story

FOLDER = ROOT / "data" / "demo"
PORTS = (8080, 8081, 8082)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="walk through the story without a browser")
    parser.add_argument("--sandbox-python", type=Path, default=ROOT / ".venv-sandbox" / "bin" / "python")
    given = parser.parse_args()
    try:
        return check(given.sandbox_python) if given.check else show(given.sandbox_python)
    except (StageError, StepFailed) as trouble:
        print(f"\nFAILED: {trouble}", file=sys.stderr)
        return 1


def check(sandbox_python: Path) -> int:
    """Every step of the story against fresh processes on free ports."""
    folder = _fresh(FOLDER.with_name("demo-check"))
    with Stage(folder, sandbox_python) as stage:
        for number, (title, step) in enumerate(Story(stage).steps(), start=1):
            print(f"{number}. {title} … ", end="", flush=True)
            try:
                step()
            except StepFailed as failure:
                raise StepFailed(f"step {number} ({title}): {failure}\nlogs: {folder}") from failure
            print("ok")
    print("\nThe whole story holds.")
    return 0


def show(sandbox_python: Path) -> int:
    """Everything started, the cast known to the tool, one address to open."""
    print("Starting Gatehouse, Open edX's LTI consumer and the Zoom player …", flush=True)
    with Stage(_fresh(FOLDER), sandbox_python, ports=PORTS) as stage:
        Story(stage).gather_the_cast()
        print(GUIDE.format(lms=stage.lms_url), flush=True)
        _wait_for_the_end()
    print("Stopped. The demo's data stays in data/demo until the next start.")
    return 0


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _wait_for_the_end() -> None:
    ended = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: ended.set())
    ended.wait()


GUIDE = """
  Open  {lms}

  1. Pick Maya and open Module 2: it is locked, and says why.
  2. Open Module 1: the agenda, the join link, "live, not recorded".
  3. Follow "Play the day" in the top bar and play it: a training day of Zoom deliveries in seconds.
  4. Open Module 1 again for her minutes and credit; the gradebook in the top bar shows the grade.
  5. Open Module 2: it is open. Try Tomas (PRATI), Wendell (MAPS), Priya (left at lunch), and staff as Ida.

  Press Ctrl-C to stop.
"""

if __name__ == "__main__":
    sys.exit(main())
