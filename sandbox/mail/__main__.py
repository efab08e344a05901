"""`python -m sandbox.mail`: the mail server and its page, on loopback only."""

import argparse
import logging
import signal
import sys
import threading

from werkzeug.serving import make_server

from sandbox.mail.pages import Mailbox, create_pages
from sandbox.mail.server import MailServer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.mail", description="A mail server that shows its mail.")
    parser.add_argument("--port", type=int, required=True, help="where the page is")
    parser.add_argument("--smtp-port", type=int, required=True, help="where messages are taken")
    given = parser.parse_args()
    mailbox = Mailbox()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with MailServer(given.smtp_port, mailbox.keep) as taker:
        threading.Thread(target=taker.serve_forever, daemon=True).start()
        make_server("127.0.0.1", given.port, create_pages(mailbox), threaded=True).serve_forever()


if __name__ == "__main__":
    main()
