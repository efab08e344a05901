"""What a platform's last answer to a score means, in words for staff (pure)."""

ANSWERS = {
    "400": "The platform did not understand the score. The maximum of the unit may differ from the programme's.",
    "401": "The platform did not accept our sign-in for grades. It is tried again by itself.",
    "403": "The platform does not allow this tool to write grades here. Check the unit's grade settings (AGS).",
    "404": "The place of this grade no longer exists on the platform. The unit may have been removed or copied.",
    "405": "The platform does not take scores at this address. Check the unit's grade settings (AGS).",
    "409": "The platform says that it holds a newer score. A person should compare the two.",
    "422": "The platform did not take this value. The person may have left the course.",
    "429": "The platform asked us to slow down. It is tried again by itself.",
}


def in_words(last_answer: str | None) -> str:
    """The plain reason behind the text of the ledger, which starts with the HTTP status or with one of our codes."""
    if not last_answer:
        return "Not tried yet."
    status = last_answer.split(" ", 1)[0]
    if status in ANSWERS:
        return ANSWERS[status]
    if status.isdigit():
        return "The platform took it." if status < "300" else _other(status)
    if status[:1].isupper():  # the class of a fault of our own, where our codes are in lower case
        return "The tool had a fault of its own. It is tried again by itself."
    return "The platform could not be reached. It is tried again by itself."


def _other(status: str) -> str:
    if status >= "500":
        return "The platform had a fault of its own. It is tried again by itself."
    return "The platform refused the score."
