"""The composition root: settings in, a ready application and its parts out. Nothing connects before it is used."""

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
from schemas.registry import INTAKE_EVENTS
from services.trials import tables
from services.trials.catalogue import Catalogue
from services.trials.domain import Offers
from services.trials.evaluating import Evaluator
from services.trials.handlers import GROUP, USES, IntakeHandlers
from services.trials.loading import Loading
from services.trials.people import People
from services.trials.publisher import Publisher
from services.trials.resources import Resources
from services.trials.routes import feasibility, matches, trials
from services.trials.settings import TrialsSettings
from services.trials.timers import Ageing, Drain, Inviter

LEAST_BODY = 8 * 1024 * 1024
"""Bytes of a request: records come many at a time, and one that is too long must be read to be refused by its name."""


@dataclass(frozen=True, slots=True)
class Trials:
    """The service, not started. ``supervisor`` runs ``parts``; whoever stops it closes it, too."""

    app: FastAPI
    parts: tuple[Part, ...]
    supervisor: Supervisor
    store: Store
    resources: Resources
    handlers: IntakeHandlers
    ageing: Ageing
    drain: Drain
    inviter: Inviter
    relay: Relay
    traces: TracerProvider

    async def close(self) -> None:
        """When the parts have stopped: connections, and what traces are still to be handed over."""
        await self.store.close()
        self.traces.shutdown()


def build(
    settings: TrialsSettings, clock: CivilClock, offers: Offers, registry: MetricsRegistry | None = None
) -> Trials:
    """``offers``: programs and vocabularies by public code; ``registry`` is the process's, when it is shared."""
    store = Store(settings.store)
    metrics = Metrics("trials", registry)
    traces = tracer_provider("trials", settings.observability.otlp_endpoint)
    master, source = settings.master.ring(), f"https://{settings.host}/trials"
    relay = Relay(store, tables.outbox, tables.leases, settings.kafka, (), source, metrics)
    publisher, catalogue = Publisher(source), Catalogue(offers)
    evaluator = Evaluator(offers, catalogue, publisher, clock, metrics)
    people = People(store, offers, clock, master)
    inviter = Inviter(store, evaluator, master, relay.nudge)

    def wake() -> None:
        relay.nudge()
        inviter.nudge()

    ageing = Ageing(store, evaluator, master, wake)
    drain = Drain(store, evaluator, master, wake, people, settings.drain_per_second)
    handlers = IntakeHandlers(settings.facts.ring(), master, evaluator)
    prometheus = metrics.registry.prometheus
    consumer = Consumer(
        broker=kafka_broker(settings.kafka, service="trials", registry=prometheus, tracer_provider=traces),
        kafka=settings.kafka, topic=INTAKE_EVENTS, group=GROUP, uses=USES, store=store, tables=tables.consumer,
        outbox=tables.outbox, apply=handlers.apply, buried=handlers.buried, metrics=metrics, tracer=traces,
        on_new_broker=relay.republish, on_applied=wake,
    )  # fmt: skip
    loading = Loading(store, catalogue, people)
    parts: tuple[Part, ...] = (loading, relay, inviter, ageing, drain, consumer)
    supervisor = Supervisor(parts, settings.shutdown_seconds)

    http = settings.http.model_copy(update={"body_limit_bytes": max(LEAST_BODY, settings.http.body_limit_bytes)})
    app = create_app(
        title="Upright trials", settings=http, supervisor=supervisor, metrics=metrics, traces=traces,
        ready=loading.ready,
    )  # fmt: skip

    def nudge() -> None:
        wake()
        drain.nudge()

    resources = Resources(store, offers, catalogue, people, publisher, clock, master, nudge)
    for routes in (trials, matches, feasibility):
        app.include_router(routes.router(resources))
    return Trials(app, parts, supervisor, store, resources, handlers, ageing, drain, inviter, relay, traces)
