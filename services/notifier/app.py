"""The composition root: settings in, a ready application and its parts out. Nothing connects before it is used."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider

from chassis.broker import kafka_broker
from chassis.clock import CivilClock
from chassis.compacted import CompactedTopic
from chassis.consumer import Consumer
from chassis.http import create_app
from chassis.metrics import Metrics, MetricsRegistry
from chassis.relay import Relay
from chassis.store import Store
from chassis.supervisor import Part, Supervisor
from chassis.tracing import tracer_provider
from schemas.programs import Program
from schemas.registry import INTAKE_EVENTS, NOTIFIER_REQUESTS, TRIALS_CATALOG, TRIALS_DIGESTS
from services.notifier.catalogue import USES as TRIALS
from services.notifier.catalogue import Catalogue
from services.notifier.catalogue_watch import CatalogueWatch
from services.notifier.checks import Checker
from services.notifier.digests import handlers as digests
from services.notifier.digests.handlers import DigestHandlers
from services.notifier.digests.making import Maker
from services.notifier.digests.sender import DigestSender
from services.notifier.handlers import REQUESTS, USES, IntakeHandlers
from services.notifier.links import Links
from services.notifier.outcomes import Publisher
from services.notifier.programs import AppliedPrograms
from services.notifier.recording import Recorder
from services.notifier.replan import Planner
from services.notifier.resources import Resources
from services.notifier.routes import deliveries, operations, pauses, preview, unsubscribe
from services.notifier.sender import Hook, Sender, nothing
from services.notifier.settings import NotifierSettings
from services.notifier.store.moments import GROUP
from services.notifier.store.moments import REQUESTS as REQUESTS_GROUP
from services.notifier.sweeper import Sweeper
from services.notifier.tables import consumer as consumer_tables
from services.notifier.tables import leases, outbox
from services.notifier.timers import Reconciler, Replanner


@dataclass(frozen=True, slots=True)
class Notifier:
    """The service, not started. ``supervisor`` runs ``parts``; whoever stops it closes it, too."""

    app: FastAPI
    parts: tuple[Part, ...]
    supervisor: Supervisor
    store: Store
    planner: Planner
    handlers: IntakeHandlers
    catalogue: Catalogue
    replanner: Replanner
    sender: Sender
    digest_handlers: DigestHandlers
    digest_sender: DigestSender
    sweeper: Sweeper
    relay: Relay
    traces: TracerProvider

    async def close(self) -> None:
        """When the parts have stopped: connections, and what traces are still to be handed over."""
        await self.store.close()
        self.traces.shutdown()


def build(
    settings: NotifierSettings,
    clock: CivilClock,
    programs: Mapping[str, Program],
    registry: MetricsRegistry | None = None,
    *,
    simulated: bool = False,
    before_guard: Hook = nothing,
) -> Notifier:
    """``programs`` by public code, as in the files; ``registry`` is the process's, when several services share one.

    ``DemoValuesRefused`` when programs hold demo values and this is neither a simulation nor ``standalone``.
    ``simulated`` marks mails made under a simulated clock; ``before_guard`` runs between claim and guard.
    """
    store = Store(settings.store)
    metrics = Metrics("notifier", registry)
    traces = tracer_provider("notifier", settings.observability.otlp_endpoint)
    master, source = settings.master.ring(), f"https://{settings.host}/notifier"
    applied = AppliedPrograms(programs, demo=simulated or settings.kafka.embedded)
    planner = Planner(applied, Publisher(source), clock, metrics)
    address_key = settings.address_key.get_secret_value().encode()
    handlers = IntakeHandlers(settings.contact.ring(), master, address_key, planner)
    digest_handlers = DigestHandlers(master)
    relay = Relay(store, outbox, leases, settings.kafka, (), source, metrics)
    catalogue, pages = Catalogue(), settings.pages
    links = Links(pages.public_url, pages.links.ring()) if pages else None
    checker, recorder = Checker(planner, master, catalogue, links, simulated), Recorder(planner, master)
    sender = Sender(
        store, settings.smtp, checker, recorder, metrics, traces, before_guard=before_guard, on_recorded=relay.nudge
    )
    maker = Maker(applied, address_key, settings.console_url, simulated)
    digest_sender = DigestSender(
        store, sender.pool, maker, master, clock, metrics, traces, settings.smtp.longest_send_seconds + 30
    )

    def wake() -> None:
        relay.nudge()
        sender.nudge()
        digest_sender.nudge()

    replanner, sweeper = Replanner(store, planner, master, wake), Sweeper(store, recorder, metrics)
    prometheus = metrics.registry.prometheus
    broker = kafka_broker(settings.kafka, service="notifier", registry=prometheus, tracer_provider=traces)

    def consumer(
        topic: str, group: str, uses: Collection[str], of: IntakeHandlers | DigestHandlers = handlers
    ) -> Consumer:
        return Consumer(
            broker=broker, kafka=settings.kafka, topic=topic, group=group, uses=uses, store=store,
            tables=consumer_tables, outbox=outbox, apply=of.apply, buried=of.buried,
            metrics=metrics, tracer=traces, on_new_broker=relay.republish, on_applied=wake,
        )  # fmt: skip

    watch = CatalogueWatch(store)
    reader = CompactedTopic(settings.kafka, TRIALS_CATALOG, TRIALS, catalogue.on_state, metrics, on_change=watch.nudge)
    catalogue.ready = lambda: reader.ready
    parts: tuple[Part, ...] = (
        relay, sender, digest_sender, sweeper, replanner, watch, reader, consumer(INTAKE_EVENTS, GROUP, USES),
        consumer(NOTIFIER_REQUESTS, REQUESTS_GROUP, REQUESTS),
        consumer(TRIALS_DIGESTS, digests.GROUP, digests.USES, digest_handlers), Reconciler(store, clock, metrics),
    )  # fmt: skip
    supervisor = Supervisor(parts, settings.shutdown_seconds)
    app = create_app(
        title="Upright notifier", settings=settings.http, supervisor=supervisor, metrics=metrics, traces=traces,
        ready=store.ping,
    )  # fmt: skip
    resources = Resources(store, planner, clock, master, handlers.address_key, catalogue, links)
    for each in (deliveries, preview, operations, pauses, unsubscribe):
        app.include_router(each.router(resources))
    return Notifier(
        app, parts, supervisor, store, planner, handlers, catalogue, replanner, sender, digest_handlers, digest_sender,
        sweeper, relay, traces,
    )  # fmt: skip
