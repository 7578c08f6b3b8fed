"""What intake decides, and nothing else: a posted event and a patient's record in, the new state or a refusal out."""

from services.intake.domain.commands import Command, Context
from services.intake.domain.decide import decide
from services.intake.domain.record import Record
from services.intake.domain.refusals import Problem, Refused

__all__ = ["Command", "Context", "Problem", "Record", "Refused", "decide"]
