"""The evidence of one session beside what is on record: who is new, changed, known under another name, or gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lti_tool.sessions.attendance import PersonPresence
from lti_tool.sessions.attendance_versions import Version
from lti_tool.sessions.rounds import Round


@dataclass(frozen=True, slots=True)
class Compared:
    """Everybody of whom the evidence or the record speaks; the current versions; new key → old keys of people who were
    known under other names before somebody matched them; the keys of nobody in particular of whom no evidence speaks
    any more."""

    everybody: Sequence[PersonPresence]
    current: Mapping[str, Version]
    aliases: Mapping[str, list[str]]
    nobodies: Sequence[str]

    def news(self, this: Round) -> list[PersonPresence]:
        """Those whose result is new, or whose name is."""
        return [each for each in self.everybody if self._is_news(this, each)]

    def _is_news(self, this: Round, person: PersonPresence) -> bool:
        version = self.current.get(person.person_key)
        return version is None or version.input_digest != this.digest(person) or person.person_key in self.aliases


def compare(people: Sequence[PersonPresence], current: Mapping[str, Version]) -> Compared:
    """These people beside the current versions of the session, by key. A trainee of whom no evidence speaks any more is
    among everybody, with none."""
    aliases = _aliases(people, current)
    gone = _gone(people, current, aliases)
    nobodies = sorted(key for key in gone if current[key].trainee_id is None)
    withdrawn = [_withdrawn(current[key]) for key in sorted(gone.difference(nobodies))]
    return Compared([*people, *withdrawn], current, aliases, nobodies)


def _aliases(people: Sequence[PersonPresence], current: Mapping[str, Version]) -> dict[str, list[str]]:
    present = {each.person_key for each in people}
    aliases: dict[str, list[str]] = {}
    for person in people:
        known = sorted(key for key in set(person.former_keys) if key in current and key not in present)
        if known:
            aliases[person.person_key] = known
    return aliases


def _gone(
    people: Sequence[PersonPresence], current: Mapping[str, Version], aliases: Mapping[str, list[str]]
) -> set[str]:
    """The current keys of whom the evidence no longer speaks under any name."""
    return current.keys() - {each.person_key for each in people} - {old for olds in aliases.values() for old in olds}


def _withdrawn(version: Version) -> PersonPresence:
    """The person of a version of whom the evidence no longer speaks."""
    return PersonPresence(
        person_key=version.person_key,
        trainee_id=version.trainee_id,
        display_name=version.display_name,
        email=version.email,
        registrant_id=version.registrant_id,
        intervals=(),
        flags=("evidence_withdrawn",),
    )
