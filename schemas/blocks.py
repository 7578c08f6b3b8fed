"""The sealed blocks: which field of which state holds which model, and the services that can open it."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.appointment import AppointmentState, CareBlock, FormsBlock, PaperworkState, VisitBlock
from schemas.base import Contract
from schemas.patient import ContactBlock, FactsBlock, FactsState, PatientState, TraitsBlock


@dataclass(frozen=True, slots=True)
class Block:
    """One sealed block. ``readers`` hold its key, and nobody else."""

    name: str
    model: type[Contract]
    readers: tuple[str, ...]


_CARE_TEAM = ("intake", "notifier")
_RESEARCH = ("intake", "trials")

CONTACT = Block("contact", ContactBlock, _CARE_TEAM)
CARE = Block("care", CareBlock, _CARE_TEAM)
FORMS = Block("forms", FormsBlock, _CARE_TEAM)
VISIT = Block("visit", VisitBlock, _RESEARCH)
TRAITS = Block("traits", TraitsBlock, _RESEARCH)
FACTS = Block("facts", FactsBlock, _RESEARCH)
BLOCKS = (CONTACT, CARE, FORMS, VISIT, TRAITS, FACTS)

_BY_STATE: tuple[tuple[type[Contract], Mapping[str, Block]], ...] = (
    (PatientState, {"contact": CONTACT, "traits": TRAITS}),
    (AppointmentState, {"care": CARE, "visit": VISIT}),
    (PaperworkState, {"care": FORMS}),
    (FactsState, {"block": FACTS}),
)


def blocks_of(state: type[Contract]) -> Mapping[str, Block]:
    """The sealed fields of a state, by name; none for a state that seals nothing."""
    return next((blocks for model, blocks in _BY_STATE if issubclass(state, model)), {})
