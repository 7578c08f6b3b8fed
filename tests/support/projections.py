"""The reference projection: keep each subject's highest version, ignore the rest; told keeps its highest sequence."""

from collections.abc import Iterable
from dataclasses import dataclass

from services.notifier.domain import Appointment, Paperwork, Told
from services.notifier.told import told_after_event


@dataclass(frozen=True, slots=True)
class Fact:
    """One event: a subject's full state at a version."""

    version: int
    state: Appointment | Paperwork

    @property
    def subject(self) -> str:
        if isinstance(self.state, Appointment):
            return f"appointment/{self.state.appointment_id}"
        return f"paperwork/{self.state.paperwork_id}"


def keep_highest(facts: Iterable[Fact]) -> tuple[list[Appointment | Paperwork], dict[str, Told]]:
    """The states and what was told after hearing the events in this order."""
    best: dict[str, Fact] = {}
    told: dict[str, Told] = {}
    for fact in facts:
        if fact.subject not in best or fact.version > best[fact.subject].version:
            best[fact.subject] = fact
        if isinstance(fact.state, Appointment):
            heard = told_after_event(told.get(fact.state.appointment_id), fact.state)
            if heard:
                told[fact.state.appointment_id] = heard
    return [best[subject].state for subject in sorted(best)], told
