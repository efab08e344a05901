"""Long lists of people, a part at a time. People are looked for by the names at which the parts begin: a name that is
searched for would stand in an address."""

from collections.abc import Sequence
from dataclasses import dataclass

from lti_tool.rosters.lists import ListedMember
from lti_tool.url_parts import read_id

LONGEST = 200


@dataclass(frozen=True, slots=True)
class Portion:
    """Part `number` (from 1) of a list of `total` people; `begins`: the first name of each part, of one at least."""

    members: Sequence[ListedMember]
    number: int
    total: int
    begins: tuple[str, ...]


def portion(people: Sequence[ListedMember], number: int) -> Portion:
    """This part of the list, the last one where there are fewer."""
    begins = tuple(each.shown_name for each in people[::LONGEST]) or ("",)
    number = min(number, len(begins))
    return Portion(people[(number - 1) * LONGEST : number * LONGEST], number, len(people), begins)


def read_number(text: str) -> int:
    """The part that an address asks for; 1 for what is no such number."""
    try:
        return max(read_id(text), 1)
    except ValueError:
        return 1
