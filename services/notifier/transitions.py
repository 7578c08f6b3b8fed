"""Which state of a delivery may follow which: the table that ``docs/deliveries.md`` draws."""

from collections.abc import Mapping

from schemas.outcomes import DeliveryState as S

TRANSITIONS: Mapping[S, frozenset[S]] = {
    S.PLANNED: frozenset({S.CLAIMED, S.SKIPPED, S.CANCELLED, S.MISSED}),
    S.CLAIMED: frozenset({S.PLANNED, S.SENDING, S.HELD, S.SKIPPED, S.CANCELLED, S.MISSED}),
    S.HELD: frozenset({S.PLANNED, S.SKIPPED, S.CANCELLED, S.MISSED}),
    S.SENDING: frozenset({S.SENT, S.FAILED, S.UNCERTAIN, S.PLANNED, S.MISSED}),
    S.SENT: frozenset({S.DELIVERED, S.BOUNCED, S.COMPLAINED}),
    S.DELIVERED: frozenset({S.BOUNCED, S.COMPLAINED}),
    S.UNCERTAIN: frozenset({S.SENT, S.SENDING, S.DELIVERED, S.BOUNCED, S.COMPLAINED}),
    S.SKIPPED: frozenset({S.PLANNED}),
    S.CANCELLED: frozenset({S.PLANNED}),
    S.BOUNCED: frozenset(),
    S.COMPLAINED: frozenset(),
    S.MISSED: frozenset(),
    S.FAILED: frozenset(),
}
"""``sending → planned``: the server said no for now (4xx), so it wasn't sent. ``skipped`` and ``cancelled`` return only
where ``sending`` was never entered. ``uncertain → sending`` is the one repeat of a safety notice."""


def may(before: S, after: S) -> bool:
    """Whether a delivery in state ``before`` may enter ``after``."""
    return after in TRANSITIONS.get(before, frozenset())
