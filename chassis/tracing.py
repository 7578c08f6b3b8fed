"""Traces: W3C context through HTTP, outbox and Kafka. Attributes are opaque ids, counts and codes, nothing protected.

Each service has its own provider, passed explicitly; nothing global is set. Without an endpoint nothing leaves the
process, but the context is still made and handed on.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Attribute = str | int | float | bool

_propagator = TraceContextTextMapPropagator()


def tracer_provider(service: str, otlp_endpoint: str | None = None) -> TracerProvider:
    """A provider; spans go to ``otlp_endpoint`` (OTLP over HTTP, the whole URL) where one is set, and nowhere else."""
    provider = TracerProvider(
        resource=Resource({"service.name": f"upright-{service}"}),
        span_limits=SpanLimits(max_span_attribute_length=200),
        shutdown_on_exit=False,  # the composition root shuts it down; an exit hook per service and test piles up
    )
    if otlp_endpoint is not None:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=otlp_endpoint)))
    return provider


def current_traceparent() -> str | None:
    """The W3C ``traceparent`` of the span around us, to be sent or stored; None outside of any."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


def context_of(traceparent: str | None) -> Context:
    """The context that a ``traceparent`` names; an empty one if it is absent or malformed."""
    return _propagator.extract({"traceparent": traceparent} if traceparent else {}, Context())


@contextmanager
def continuing(traceparent: str | None) -> Iterator[None]:
    """What is made in the block belongs to this trace; to the one around it where there is none."""
    token = attach(context_of(traceparent)) if traceparent else None
    try:
        yield
    finally:
        if token is not None:
            detach(token)


@contextmanager
def span(
    provider: TracerProvider,
    name: str,
    *,
    traceparent: str | None = None,
    links: tuple[str, ...] = (),
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, Attribute] | None = None,
) -> Iterator[Span]:
    """A span around the block: below ``traceparent`` if given, else below the current one; ``links`` are traceparents.

    An error is recorded by its class only: its text may hold a protected value.
    """
    with provider.get_tracer("upright").start_as_current_span(
        name,
        context=context_of(traceparent) if traceparent else None,
        kind=kind,
        links=[Link(trace.get_current_span(context_of(link)).get_span_context()) for link in links],
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__qualname__))
            raise
