"""The composition root: settings in, a ready application and its parts out. Nothing connects before it is used."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider

from chassis.broker import kafka_broker
from chassis.clock import CivilClock
from chassis.consumer import Consumer
from chassis.http import create_app
from chassis.metrics import Metrics, MetricsRegistry
from chassis.relay import Relay
from chassis.store import Store
from chassis.supervisor import Part, Supervisor
from chassis.tracing import tracer_provider
from schemas.programs import Program
from schemas.registry import INTAKE_EVENTS, NOTIFIER_OUTCOMES, TRIALS_OUTCOMES
from schemas.topics import TOPICS
from services.intake import tables
from services.intake.accept import Arrivals
from services.intake.handlers import GROUP, TRIALS_GROUP, TRIALS_USES, USES, OutcomeHandlers
from services.intake.resources import Resources, Rings
from services.intake.routes import events, staff
from services.intake.settings import IntakeSettings


@dataclass(frozen=True, slots=True)
class Intake:
    """The service, not started. ``supervisor`` runs ``parts``; whoever stops it also calls ``close``."""

    app: FastAPI
    parts: tuple[Part, ...]
    supervisor: Supervisor
    store: Store
    resources: Resources
    arrivals: Arrivals
    handlers: OutcomeHandlers
    relay: Relay
    traces: TracerProvider

    async def close(self) -> None:
        """When the parts have stopped: connections, and what traces are still to be handed over."""
        await self.arrivals.close()
        await self.store.close()
        self.traces.shutdown()


def build(
    settings: IntakeSettings,
    clock: CivilClock,
    programs: Mapping[str, Program],
    registry: MetricsRegistry | None = None,
) -> Intake:
    """``programs`` by public code; ``registry`` is the process's, when several services share one."""
    store = Store(settings.store)
    metrics = Metrics("intake", registry)
    traces = tracer_provider("intake", settings.observability.otlp_endpoint)
    topics = [TOPICS[INTAKE_EVENTS]]
    relay = Relay(
        store, tables.outbox, tables.leases, settings.kafka, topics, f"https://{settings.host}/intake", metrics
    )
    rings = Rings(settings.master.ring(), settings.contact.ring(), settings.facts.ring())
    resources = Resources(store, rings, programs, clock, settings.host, settings.max_batch, relay.nudge)
    arrivals = Arrivals(resources)
    handlers = OutcomeHandlers(clock)
    prometheus = metrics.registry.prometheus

    def consumer(topic: str, group: str, uses: frozenset[str]) -> Consumer:
        return Consumer(
            broker=kafka_broker(settings.kafka, service="intake", registry=prometheus, tracer_provider=traces),
            kafka=settings.kafka, topic=topic, group=group, uses=uses, store=store, tables=tables.consumer,
            outbox=tables.outbox, apply=handlers.apply, buried=handlers.buried, metrics=metrics, tracer=traces,
            on_new_broker=relay.republish,
        )  # fmt: skip

    parts: tuple[Part, ...] = (
        relay, consumer(NOTIFIER_OUTCOMES, GROUP, USES), consumer(TRIALS_OUTCOMES, TRIALS_GROUP, TRIALS_USES),
    )  # fmt: skip
    supervisor = Supervisor(parts, settings.shutdown_seconds)
    app = create_app(
        title="Upright intake", settings=settings.http, supervisor=supervisor, metrics=metrics, traces=traces,
        ready=store.ping,
    )  # fmt: skip
    app.include_router(events.router(resources, arrivals))
    app.include_router(staff.router(resources))
    return Intake(app, parts, supervisor, store, resources, arrivals, handlers, relay, traces)
