"""Who takes part in a day of the sandbox's Zoom."""

from dataclasses import dataclass

from sandbox.zoom.behaviours import BEHAVIOURS, Visit


@dataclass(frozen=True, slots=True)
class Attendee:
    """One person of the day. `registrant_id` and `email` may be empty, as for a guest; `visits` given by the caller
    replace those of the behaviour. With `shows_email` false only the registration tells the address, as for nearly
    every guest of a real meeting."""

    name: str
    email: str = ""
    registrant_id: str = ""
    behaviour: str = "all_day"
    visits: tuple[Visit, ...] | None = None
    shows_email: bool = True

    @property
    def registers(self) -> bool:
        return bool(self.registrant_id) and (self.visits is not None or BEHAVIOURS[self.behaviour].registers)

    @property
    def shown_email(self) -> str:
        """The address Zoom shows for this person, if any."""
        if not self.shows_email:
            return ""
        if self.visits is not None or BEHAVIOURS[self.behaviour].registers:
            return self.email
        return f"practice.{self.email}" if self.email and BEHAVIOURS[self.behaviour].alias else ""

    def shown(self, visit: Visit) -> tuple[str, str, str]:
        """Name, address and registrant id as Zoom shows them on one connection: by telephone nothing but a number."""
        if visit.phone:
            return "+1 ***-***-0142", "", ""
        return self.name, self.shown_email, self.registrant_id if self.registers else ""
