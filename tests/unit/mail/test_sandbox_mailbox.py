"""The mail server of the demo: it takes what a sender of the standard library sends, and shows it."""

import smtplib
import threading
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from sandbox.mail.pages import Mailbox, create_pages
from sandbox.mail.server import MailServer


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def port(mailbox: Mailbox) -> Iterator[int]:
    with MailServer(0, mailbox.keep) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def message(subject: str, body: str) -> EmailMessage:
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = subject, "training@example.org", "maya@example.org"
    made.set_content(body)
    return made


def test_messages_are_kept_the_newest_first_and_shown_as_text(mailbox: Mailbox, port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port) as sender:
        sender.send_message(message("First", "One line\n.a line that begins with a dot"))
        sender.send_message(message("Sécond", "<b>Ünd</b>"), to_addrs=["a@example.org", "b@example.org"])
    pages = create_pages(mailbox).test_client()
    assert [(each["to"], each["subject"]) for each in pages.get("/messages.json").json or ()] == [
        ("b@example.org", "Sécond"),
        ("a@example.org", "Sécond"),
        ("maya@example.org", "First"),
    ]
    shown = pages.get("/").get_data(as_text=True)
    assert "\n.a line that begins with a dot" in shown
    assert "&lt;b&gt;Ünd&lt;/b&gt;" in shown


def test_what_it_does_not_know_is_refused_and_a_reset_forgets_the_recipients(mailbox: Mailbox, port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port) as sender:
        assert sender.docmd("VRFY", "maya")[0] == 502
        sender.helo()
        sender.mail("training@example.org")
        sender.rcpt("maya@example.org")
        sender.rset()
        assert sender.noop()[0] == 250
    assert mailbox.newest_first() == []
