"""Which deliveries of one patient that are due together make one mail. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.outcomes import Kind
from services.notifier.domain import Delivery, Truth


@dataclass(frozen=True, slots=True)
class Bundle:
    """One mail: its deliveries, most important first, and the kind whose template says all of them."""

    kind: Kind
    deliveries: tuple[Delivery, ...]

    @property
    def appointment_ids(self) -> tuple[str, ...]:
        """The visits the mail is about: several when they are on one day."""
        return tuple(dict.fromkeys(each.appointment_id for each in self.deliveries if each.appointment_id))


def group(due: Sequence[Delivery], truth: Truth) -> tuple[Bundle, ...]:
    """Every delivery of ``due`` (one patient, due now, each with the guard's consent) in exactly one mail.

    One program, so one sender; never two steps of one visit; a safety notice alone. Visits on one day of the clinic
    share a reminder. The plan has already put what belongs together on one instant.
    """
    raise NotImplementedError
