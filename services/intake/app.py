"""The composition root: settings in, a ready application and its parts out. Nothing connects before it is used."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import FastAPI

from chassis.clock import CivilClock
from chassis.http import create_app
from chassis.metrics import Metrics, MetricsRegistry
from chassis.relay import Relay
from chassis.store import Store
from chassis.supervisor import Part, Supervisor
from chassis.tracing import tracer_provider
from schemas.programs import Program
from schemas.registry import INTAKE_EVENTS
from schemas.topics import TOPICS
from services.intake.resources import Resources, Rings
from services.intake.routes import events
from services.intake.settings import IntakeSettings
from services.intake.tables import leases, outbox


@dataclass(frozen=True, slots=True)
class Intake:
    """The service, not started. ``supervisor`` runs ``parts``; whoever stops it also closes ``store``."""

    app: FastAPI
    parts: tuple[Part, ...]
    supervisor: Supervisor
    store: Store
    resources: Resources


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
    relay = Relay(store, outbox, leases, settings.kafka, clock, topics, f"https://{settings.host}/intake", metrics)
    rings = Rings(settings.master.ring(), settings.contact.ring(), settings.facts.ring())
    resources = Resources(store, rings, programs, clock, settings.host, settings.max_batch, relay.nudge)
    parts: tuple[Part, ...] = (relay,)
    supervisor = Supervisor(parts, settings.shutdown_seconds)
    app = create_app(
        title="Upright intake", settings=settings.http, supervisor=supervisor, metrics=metrics, traces=traces,
        ready=store.ping,
    )  # fmt: skip
    app.include_router(events.router(resources))
    return Intake(app, parts, supervisor, store, resources)
