"""Spans leave the process for the collector that was named, and only for that one."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from chassis.tracing import context_of, current_traceparent, span, tracer_provider


class Collector(HTTPServer):
    """Takes OTLP over HTTP and remembers the spans' names."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Take)
        self.names: list[str] = []


class Take(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
        for resource in request.resource_spans:
            self.server.names += [each.name for scope in resource.scope_spans for each in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_spans_reach_the_collector_that_was_named(collector: Collector) -> None:
    provider = tracer_provider("test", f"http://127.0.0.1:{collector.server_port}/v1/traces")
    with span(provider, "outer"):
        named = current_traceparent()
        with span(provider, "inner", traceparent=named):
            pass
    provider.shutdown()
    assert sorted(collector.names) == ["inner", "outer"]


def test_without_an_endpoint_context_is_made_and_nothing_is_sent(collector: Collector) -> None:
    provider = tracer_provider("test")
    with span(provider, "quiet"):
        assert current_traceparent() is not None
    provider.shutdown()
    assert collector.names == []
    assert dict(context_of("nonsense")) == {}
