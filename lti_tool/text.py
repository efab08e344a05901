"""What people write as a reason or an answer: there, readable, and not too long."""

from lti_tool.errors import BadInput

LONGEST_TEXT = 2000


def reason_given(text: str) -> str:
    """A reason. Raises BadInput "reason_missing"."""
    return read_text(
        text,
        BadInput(
            "reason_missing",
            "A reason is missing, unreadable or longer than 2000 characters.",
            "Say in a sentence or two how you know.",
        ),
    )


def read_text(text: str, refusal: BadInput) -> str:
    """A text of one or more lines, of at most LONGEST_TEXT characters. Raises the refusal for anything else."""
    plain = text.replace("\r\n", "\n").strip()
    readable = all(letter.isprintable() or letter in "\n\t" for letter in plain)
    if not plain or not readable or len(plain) > LONGEST_TEXT:
        raise refusal
    return plain
