"""Who acts: "trainee:7", "staff:3" (a trainee id with a staff role), "cli" or "system"; and who may not decide what."""

from lti_tool.errors import AccessDenied


def trainee_of(actor: str) -> int | None:
    """The trainee id behind an actor; None for the command line and the system."""
    _, _, number = actor.partition(":")
    return int(number) if number.isascii() and number.isdigit() else None


def refuse_own(actor: str, trainee_id: int) -> None:
    """Nobody decides about themselves. Raises AccessDenied "own_case"."""
    if trainee_of(actor) == trainee_id:
        raise AccessDenied("own_case", "Nobody decides about their own record.", "Ask somebody else of the staff.")


def refuse_alone(actor: str, second: str | None, trainee_id: int) -> None:
    """Two different people, neither of them the trainee. Raises AccessDenied "second_person_needed" or "own_case"."""
    refuse_own(actor, trainee_id)
    if second is None or second == actor or trainee_of(second) in (trainee_id, trainee_of(actor) or -1):
        raise AccessDenied(
            "second_person_needed", "This needs a second person to confirm.", "Ask somebody else of the staff."
        )
