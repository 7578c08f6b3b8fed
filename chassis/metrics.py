"""Every metric of every service, in one place. A label value is never a person, an address, or a record's key.

One ``MetricsRegistry`` per process, handed to whoever needs it; ``Metrics`` is one service's view of it, so several
services in one process are told apart by the label ``service``.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

C = TypeVar("C", Counter, Gauge, Histogram)

MetricName = Literal[
    "events_consumed_total",
    "events_stale_total",
    "events_ignored_total",
    "dead_letters_total",
    "dead_letters_open",
    "consumer_batch_seconds",
    "consumer_lag",
    "consumer_caught_up_timestamp_seconds",
    "consumer_fresh_timestamp_seconds",
    "consumer_outages_total",
    "consumer_stopped",
    "states_unreadable_total",
    "outbox_published_total",
    "outbox_rows",
    "outbox_oldest_seconds",
    "relay_outages_total",
    "relay_lease_held",
    "deliveries_total",
    "deliveries_due",
    "deliveries_due_oldest_seconds",
    "deliveries_held",
    "deliveries_uncertain",
    "lease_expiries_total",
    "programs_paused",
    "sending_seconds",
    "smtp_answers_total",
    "ledger_unbalanced",
    "ledger_difference",
    "ledger_reconciled_timestamp_seconds",
    "worklist_opened_total",
    "matches_total",
    "http_requests_total",
    "http_request_seconds",
]


@dataclass(frozen=True, slots=True)
class Definition:
    """What Prometheus is told: the help text, and the labels beside ``service``."""

    kind: type[Counter] | type[Gauge] | type[Histogram]
    help: str
    labels: tuple[str, ...] = ()


_CONSUMER = ("topic", "group")
_PARTITION = ("topic", "group", "partition")

DEFINITIONS: Mapping[MetricName, Definition] = {
    "events_consumed_total": Definition(Counter, "Records whose effect is committed", _CONSUMER),
    "events_stale_total": Definition(Counter, "Records of a version already seen: no effect", _CONSUMER),
    "events_ignored_total": Definition(Counter, "Records of families this service doesn't use", _CONSUMER),
    "dead_letters_total": Definition(Counter, "Records parked as dead letters", (*_CONSUMER, "reason")),
    "dead_letters_open": Definition(Gauge, "Dead letters nobody has redriven or dismissed", _CONSUMER),
    "consumer_batch_seconds": Definition(Histogram, "From a batch's poll to its commit", _CONSUMER),
    "consumer_lag": Definition(Gauge, "End offset minus our committed offset", _PARTITION),
    "consumer_caught_up_timestamp_seconds": Definition(Gauge, "When we last stood at the partition's end", _PARTITION),
    "consumer_fresh_timestamp_seconds": Definition(
        Gauge, "Up to when the producer says that all it committed is published", _PARTITION
    ),
    "consumer_outages_total": Definition(Counter, "Batches put back because store or broker was away", _CONSUMER),
    "consumer_stopped": Definition(Gauge, "1 after too many dead letters in a row", _CONSUMER),
    "states_unreadable_total": Definition(Counter, "Records of a compacted topic that can't be read", ("topic",)),
    "outbox_published_total": Definition(Counter, "Outbox rows confirmed by the broker", ("topic",)),
    "outbox_rows": Definition(Gauge, "Outbox rows not yet published"),
    "outbox_oldest_seconds": Definition(Gauge, "Age of the oldest unpublished outbox row"),
    "relay_outages_total": Definition(Counter, "Relay runs ended because store or broker was away"),
    "relay_lease_held": Definition(Gauge, "1 while this process relays"),
    "deliveries_total": Definition(Counter, "Deliveries that reached a state", ("kind", "state", "reason")),
    "deliveries_due": Definition(Gauge, "Deliveries whose time has come and which nobody claimed"),
    "deliveries_due_oldest_seconds": Definition(Gauge, "How long the oldest of them has been due"),
    "deliveries_held": Definition(Gauge, "Deliveries that wait for an event", ("reason",)),
    "deliveries_uncertain": Definition(Gauge, "Deliveries still of use of which nobody knows whether they arrived"),
    "lease_expiries_total": Definition(Counter, "Deliveries left in a state by a process that is gone", ("state",)),
    "programs_paused": Definition(Gauge, "Pauses of a program's mail, or of one kind of it, that stand"),
    "sending_seconds": Definition(Histogram, "One hand-over to the provider", ("verdict",)),
    "smtp_answers_total": Definition(
        Counter, "Attempts by how far they came and the answer: 2xx, 4xx, 5xx, or none at all", ("phase", "answer")
    ),
    "ledger_unbalanced": Definition(Gauge, "1 when the last daily reconciliation didn't add up"),
    "ledger_difference": Definition(
        Gauge, "Deliveries by which the programs' sums were out at the last reconciliation"
    ),
    "ledger_reconciled_timestamp_seconds": Definition(Gauge, "When the ledger was last reconciled"),
    "worklist_opened_total": Definition(Counter, "Worklist entries opened", ("reason",)),
    "matches_total": Definition(Counter, "Pairs found, changed or withdrawn", ("transition",)),
    "http_requests_total": Definition(Counter, "Requests answered", ("method", "route", "status")),
    "http_request_seconds": Definition(Histogram, "From a request's head to its answer's end", ("method", "route")),
}


class MetricsRegistry:
    """All collectors of one process. ``prometheus`` is for libraries which register their own."""

    def __init__(self) -> None:
        self.prometheus = CollectorRegistry()
        self._collectors = {name: self._collector(name) for name in get_args(MetricName)}

    def _collector(self, name: MetricName) -> Counter | Gauge | Histogram:
        definition = DEFINITIONS[name]
        labels = ("service", *definition.labels)
        return definition.kind(f"upright_{name}", definition.help, labels, registry=self.prometheus)

    def collector(self, name: MetricName) -> Counter | Gauge | Histogram:
        """The collector itself; use ``Metrics``."""
        return self._collectors[name]

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.prometheus)


class Metrics:
    """One service's view. ``ValueError`` for labels other than the definition's, ``TypeError`` for another kind."""

    def __init__(self, service: str, registry: MetricsRegistry | None = None) -> None:
        self.service = service
        self.registry = registry or MetricsRegistry()

    def count(self, name: MetricName, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        self._of(Counter, name, labels).inc(amount)

    def gauge(self, name: MetricName, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._of(Gauge, name, labels).set(value)

    def forget(self, name: MetricName, **labels: str) -> None:
        """Say no more of it: another process does now. Nothing where it was never said."""
        collector = self.registry.collector(name)
        values = {"service": self.service, **labels}
        with suppress(KeyError):
            collector.remove(*(values[each] for each in ("service", *DEFINITIONS[name].labels)))

    def observe(self, name: MetricName, seconds: float, **labels: str) -> None:
        """Put one observation into a histogram."""
        self._of(Histogram, name, labels).observe(seconds)

    def _of(self, kind: type[C], name: MetricName, labels: dict[str, str]) -> C:
        collector = self.registry.collector(name)
        if not isinstance(collector, kind):
            raise TypeError(f"{name} is no {kind.__name__}")
        return collector.labels(service=self.service, **labels)
