"""As much of SMTP (RFC 5321) as one sender on loopback needs: every address is accepted, every message is kept."""

from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from socketserver import StreamRequestHandler, ThreadingTCPServer

LONGEST_LINE = 2048
MOST_BYTES = 2_000_000

Keep = Callable[[str, EmailMessage], None]


class MailServer(ThreadingTCPServer):
    """Hands each accepted message, with the address that it is for, to `keep`."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, keep: Keep) -> None:
        super().__init__(("127.0.0.1", port), _Session)
        self.keep = keep


class _Session(StreamRequestHandler):
    """One connection. A sender may leave at any point."""

    server: MailServer

    def handle(self) -> None:
        recipients: list[str] = []
        self._say("220 sandbox ready")
        while line := self.rfile.readline(LONGEST_LINE):
            verb, _, rest = line.decode("ascii", "replace").strip().partition(" ")
            match verb.upper():
                case "EHLO":
                    self._say("250-sandbox", "250-8BITMIME", "250 SMTPUTF8")
                case "RCPT":
                    recipients.append(rest.partition("<")[2].partition(">")[0])
                    self._say("250 accepted")
                case "DATA":
                    self._say("354 go on")
                    message = message_from_bytes(self._content(), policy=default)
                    for each in recipients:
                        self.server.keep(each, message)
                    recipients = []
                    self._say("250 taken")
                case "MAIL" | "RSET":
                    recipients = []
                    self._say("250 ok")
                case "HELO" | "NOOP":
                    self._say("250 ok")
                case "QUIT":
                    self._say("221 bye")
                    return
                case _:
                    self._say("502 not known here")

    def _content(self) -> bytes:
        """The lines up to the one with a single dot; what is longer than any message of ours is cut off."""
        kept, size = [], 0
        while (line := self.rfile.readline(LONGEST_LINE)) and line != b".\r\n":
            size += len(line)
            if size <= MOST_BYTES:
                kept.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(kept)

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{each}\r\n" for each in lines).encode())
