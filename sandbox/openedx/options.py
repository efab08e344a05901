"""What the command line says, as one frozen value."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Options:
    """Where the sandbox listens, what it calls itself, which tool it launches, where it keeps its database."""

    host: str
    port: int
    public_url: str
    tool_url: str
    data: Path
    extra_links: tuple[tuple[str, str], ...]
    demo: Path | None

    @property
    def database(self) -> Path:
        return self.data / "openedx.sqlite3"


def parse_options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line; exits with a sentence when it cannot."""
    parser = argparse.ArgumentParser(prog="sandbox.openedx", description="Open edX's LTI consumer as a local platform.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--public-url", type=_base_url, required=True, help="the platform's issuer, as browsers see it")
    parser.add_argument("--tool-url", type=_base_url, required=True, help="base address of the LTI tool")
    parser.add_argument("--data", type=Path, required=True, help="folder for the database; made when missing")
    parser.add_argument(
        "--extra-link",
        type=_labelled_link,
        action="append",
        default=[],
        metavar="LABEL=URL",
        help="one more link in the top bar; may be repeated",
    )
    parser.add_argument("--demo", type=Path, help="YAML with more people, and what the first page says of everybody")
    given = parser.parse_args(arguments)
    return Options(
        host=given.host,
        port=given.port,
        public_url=given.public_url,
        tool_url=given.tool_url,
        data=given.data.resolve(),
        extra_links=tuple(given.extra_link),
        demo=given.demo,
    )


def _base_url(text: str) -> str:
    if urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is not an absolute http(s) address")
    return text.rstrip("/")


def _labelled_link(text: str) -> tuple[str, str]:
    label, sign, url = text.partition("=")
    if not sign or not label.strip():
        raise argparse.ArgumentTypeError(f"{text!r} should read LABEL=URL")
    return label.strip(), _base_url(url.strip())
