"""Start the sandbox: stand-ins first, then Django, migrations, seed, server."""

from __future__ import annotations

import sys

import waitress

from sandbox.openedx import project
from sandbox.openedx.options import parse_options

THREADS = 8


def main() -> None:
    """Serve until interrupted."""
    options = parse_options()
    try:
        application = project.application(options)
    except project.OtherAddresses as refusal:
        sys.exit(str(refusal))
    print(f"Open edX sandbox: {options.public_url} (launches {options.tool_url})", flush=True)
    waitress.serve(application, host=options.host, port=options.port, threads=THREADS, ident="openedx-sandbox")


if __name__ == "__main__":
    main()
