"""FastStream's Kafka broker: security, middlewares and AsyncAPI come from it; ``chassis.rounds`` polls and commits.

It is consumer-only: everything that is published goes through the outbox and the relay's own producer.
"""

import ssl

from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.opentelemetry import KafkaTelemetryMiddleware
from faststream.kafka.prometheus import KafkaPrometheusMiddleware
from faststream.security import BaseSecurity, SASLPlaintext
from opentelemetry.trace import TracerProvider
from prometheus_client import CollectorRegistry

from chassis.settings import KafkaSettings, Security

METADATA_SECONDS = 30
METADATA_SECONDS_EMBEDDED = 2
"""How long a new broker or topic may go unnoticed; the embedded broker is one whenever it restarts."""


def kafka_broker(
    kafka: KafkaSettings, *, service: str, registry: CollectorRegistry, tracer_provider: TracerProvider | None = None
) -> KafkaBroker:
    """A broker that isn't connected; the middlewares serve handlers, which a service may add for lesser topics."""
    age = METADATA_SECONDS_EMBEDDED if kafka.embedded else METADATA_SECONDS
    return KafkaBroker(
        kafka.bootstrap.split(","),
        client_id=f"upright-{service}",
        security=security_of(kafka),
        consumer_only=True,
        allow_auto_create_topics=False,
        ack_policy=AckPolicy.MANUAL,
        metadata_max_age_ms=age * 1000,
        middlewares=[
            KafkaPrometheusMiddleware(registry=registry, app_name=service),
            KafkaTelemetryMiddleware(tracer_provider=tracer_provider),
        ],
        logger=None,  # what it would say of a subscriber without a handler, chassis.membership says structured
    )


def security_of(kafka: KafkaSettings) -> BaseSecurity | None:
    """FastStream's form of the security settings; TLS always verifies, with ``ca_file`` where it is set."""
    context = None
    if kafka.security in (Security.SSL, Security.SASL_SSL):
        context = ssl.create_default_context(cafile=kafka.ca_file)
    if kafka.username is not None and kafka.password is not None:
        return SASLPlaintext(kafka.username, kafka.password.get_secret_value(), context, use_ssl=context is not None)
    return BaseSecurity(context) if context is not None else None
