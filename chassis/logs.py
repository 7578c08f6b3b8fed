"""Structured logs of the whole process on standard error: one JSON object a line, or text for people.

The standard library's logging goes the same way, so a library's line is redacted like our own. The event is a short
code in snake case, everything else a key: ``log.info("dead_letter", topic=topic, reason=reason)``.
"""

import logging
import sys
from typing import TextIO

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

from chassis.log_repeats import Repeats
from chassis.redaction import redact
from chassis.settings import ObservabilitySettings

OURS = ("schemas", "chassis", "services", "standalone")


def configure(settings: ObservabilitySettings, stream: TextIO | None = None) -> None:
    """Set up logging of the process; again is harmless. Libraries are heard from warnings on."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exception_of_now,
        _add_trace,
        redact,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderer(settings.log_json)],
        )
    )
    handler.addFilter(Repeats())
    logging.root.handlers = [handler]
    logging.root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(settings.log_level.upper())


def bind_service(service: str) -> None:
    """Name the service in every line of this task and of the tasks it starts."""
    structlog.contextvars.bind_contextvars(service=service)


def _renderer(json: bool) -> list[Processor]:
    if json:
        return [structlog.processors.JSONRenderer(ensure_ascii=False)]
    return [_exception_as_text, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]


def _exception_as_text(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    chain = event.get("exception")
    if chain:
        event["exception"] = "\n".join(f"{link['class']} at {' > '.join(link['at'])}" for link in chain)
    return event


def _exception_of_now(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """``exc_info=True`` means the exception being handled."""
    if event.get("exc_info") is True:
        event["exc_info"] = sys.exc_info()
    return event


def _add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
    return event
