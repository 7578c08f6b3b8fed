"""The composition root: settings in, a ready application and its parts out. Nothing connects before it is used."""

from collections.abc import Callable
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
from schemas.registry import INTAKE_EVENTS, NOTIFIER_OUTCOMES, TRIALS_MATCHES
from services.trials import outcome_handlers, tables
from services.trials.catalogue import Catalogue
from services.trials.domain import Offers
from services.trials.evaluating import Evaluator
from services.trials.handlers import GROUP, USES, IntakeHandlers
from services.trials.inviter import Inviter
from services.trials.loading import Loading
from services.trials.outcome_handlers import OutcomeHandlers
from services.trials.people import People
from services.trials.publisher import Publisher
from services.trials.resources import Resources
from services.trials.routes import COORDINATOR, feasibility, matches, page, subscriptions, trials
from services.trials.session import Sessions
from services.trials.settings import TrialsSettings
from services.trials.subscriptions import following
from services.trials.subscriptions.following import MatchHandlers
from services.trials.subscriptions.wiring import Subscriptions, wire
from services.trials.timers import Ageing, Drain

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
    outcomes: OutcomeHandlers
    subscribed: Subscriptions
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
    subscribed = wire(settings, store, evaluator, master, relay.nudge)
    outcomes = OutcomeHandlers(master, clock)
    prometheus = metrics.registry.prometheus
    broker = kafka_broker(settings.kafka, service="trials", registry=prometheus, tracer_provider=traces)

    def consumer(
        topic: str, group: str, uses: frozenset[str], of: IntakeHandlers | MatchHandlers | OutcomeHandlers,
        on_applied: Callable[[], None],
    ) -> Consumer:  # fmt: skip
        return Consumer(
            broker=broker, kafka=settings.kafka, topic=topic, group=group, uses=uses, store=store,
            tables=tables.consumer, outbox=tables.outbox, apply=of.apply, buried=of.buried, metrics=metrics,
            tracer=traces, on_new_broker=relay.republish, on_applied=on_applied,
        )  # fmt: skip

    consumers = (
        consumer(INTAKE_EVENTS, GROUP, USES, handlers, wake),
        consumer(TRIALS_MATCHES, following.GROUP, following.USES, subscribed.handlers, subscribed.bell.ring),
        consumer(NOTIFIER_OUTCOMES, outcome_handlers.GROUP, outcome_handlers.USES, outcomes, wake),
    )
    loading = Loading(store, catalogue, people)
    parts: tuple[Part, ...] = (loading, relay, inviter, ageing, drain, *subscribed.parts, *consumers)
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
    app.include_router(subscriptions.router(subscribed.desk))
    sessions = Sessions(master, clock, COORDINATOR, secure=not settings.kafka.embedded)
    app.include_router(page.router(resources, subscribed.desk, sessions))
    return Trials(
        app, parts, supervisor, store, resources, handlers, outcomes, subscribed, ageing, drain, inviter, relay, traces
    )
