"""`make demo` and `make demo-check`: the whole story on one machine, by hand in a browser or walked through by script.

python -m sandbox.demo            start everything, print one address, run until Ctrl-C
python -m sandbox.demo --check    walk through the story; exit 0, or 1 with the step that failed
"""

import argparse
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from sandbox.opening import Opening, demo_stage
from sandbox.stage import ROOT, StageError
from sandbox.story import StepFailed

FOLDER = ROOT / "data" / "demo"
PORTS = (8080, 8081, 8082, 8083)


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
    """Every step of the story, then everything that the demo opens with, against fresh processes on free ports."""
    folder = _fresh(FOLDER.with_name("demo-check"))
    with demo_stage(folder, sandbox_python) as stage:
        opening = Opening(stage)
        _walk([*opening.steps(), *opening.scenes(), *opening.promises()], folder)
    print("\nThe whole story holds.")
    return 0


def show(sandbox_python: Path) -> int:
    """Everything started, the opening reached, one address to open."""
    print("Starting Gatehouse, Open edX's LTI consumer, Zoom and a mail server. This takes about a minute.", flush=True)
    folder = _fresh(FOLDER)
    with demo_stage(folder, sandbox_python, ports=PORTS) as stage:
        opening = Opening(stage)
        _walk([*opening.steps(), *opening.scenes()], folder)
        print(GUIDE.format(lms=stage.lms_url, zoom=stage.zoom_url, mail=stage.mail_url), flush=True)
        _wait_for_the_end()
    print("Stopped. The demo's data stays in data/demo until the next start.")
    return 0


def _walk(steps: Sequence[tuple[str, Callable[[], None]]], folder: Path) -> None:
    """Do the steps in order, and print each. Raises StepFailed with the number of the step."""
    for number, (title, step) in enumerate(steps, start=1):
        print(f"{number:2} of {len(steps)}. {title} … ", end="", flush=True)
        try:
            step()
        except StepFailed as failure:
            raise StepFailed(f"step {number} ({title}): {failure}\nlogs: {folder}") from failure
        print("ok")


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _wait_for_the_end() -> None:
    ended = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: ended.set())
    ended.wait()


GUIDE = """
  Open      {lms}
            and choose a person; the page says what you will see as whom. Begin with Ida, then Maya.
  Zoom      {zoom}   a class is running; here you can make its time pass faster
  Mailbox   {mail}   what Gatehouse has sent

  Press Ctrl-C to stop.
"""

if __name__ == "__main__":
    sys.exit(main())
