"""OTLP collectors over gRPC and HTTP inside the test process: slow, failing or picky on demand."""

from __future__ import annotations

import gzip
import threading

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.trace.v1 import trace_pb2


Request = logs_service_pb2.ExportLogsServiceRequest
Response = logs_service_pb2.ExportLogsServiceResponse
Traces = trace_service_pb2.ExportTraceServiceRequest
TracesResponse = trace_service_pb2.ExportTraceServiceResponse


@dataclass
class Trouble:
    """An answer other than yes: a gRPC status or an HTTP status, and what goes with it."""

    grpc: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    http: int = 503
    details: str = "trouble"
    headers: dict[str, str] = field(default_factory=dict)


class Collector:
    """
    What both kinds have in common.

    Args:
        judge: Asked about every request: None accepts it, a Trouble is answered.
        latency: Seconds each request takes.
    """

    def __init__(
        self,
        judge: Callable[[Request | Traces], Trouble | None] = lambda _: None,
        latency: float = 0,
    ) -> None:
        self.judge = judge
        self.latency = latency
        self.response = Response()
        self.traces_response = TracesResponse()
        self.requests: list[Request] = []
        self.traces: list[Traces] = []
        self.metadata: list[dict[str, str]] = []
        self.sizes: list[int] = []
        self.asked = 0
        self._changed = threading.Condition()

    def take(self, request: Request | Traces, metadata: dict[str, str]) -> Trouble | None:
        if self.latency:
            threading.Event().wait(self.latency)
        with self._changed:
            self.asked += 1
            trouble = self.judge(request)
            if trouble is None:
                (self.requests if isinstance(request, Request) else self.traces).append(request)
                self.metadata.append(metadata)
                self.sizes.append(request.ByteSize())
            self._changed.notify_all()
        return trouble

    def wait(self, condition: Callable[[Collector], bool], timeout: float = 20) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), timeout), "waited in vain"

    @property
    def records(self) -> list[logs_pb2.LogRecord]:
        return [
            record
            for request in tuple(self.requests)
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    @property
    def spans(self) -> list[trace_pb2.Span]:
        return [
            span
            for request in tuple(self.traces)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def span_ids(self) -> list[str]:
        """The envelopes that spans received are about, in the order of arrival."""
        return [str(attributes(span)["otelope.envelope.id"]) for span in self.spans]

    def named(self, event_name: str) -> list[logs_pb2.LogRecord]:
        return [record for record in self.records if record.event_name == event_name]

    @property
    def ids(self) -> list[str]:
        """The envelopes received, in the order of arrival."""
        return [
            attributes(record)["otelope.envelope.id"] for record in self.named("otelope.envelope")
        ]


class GrpcCollector(Collector):
    protocol = "grpc"

    def start(self, port: int = 0, credentials: grpc.ServerCredentials | None = None) -> None:
        self._server = grpc.server(ThreadPoolExecutor(8))
        logs_service_pb2_grpc.add_LogsServiceServicer_to_server(self, self._server)
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)
        address = f"127.0.0.1:{port}"
        self.port = (
            self._server.add_secure_port(address, credentials)
            if credentials
            else self._server.add_insecure_port(address)
        )
        self._server.start()
        self.endpoint = f"{'https' if credentials else 'http'}://localhost:{self.port}"

    def Export(self, request, context):  # noqa: N802 - as gRPC calls it
        trouble = self.take(request, dict(context.invocation_metadata()))
        if trouble is not None:
            context.set_trailing_metadata(tuple(trouble.headers.items()))
            context.abort(trouble.grpc, trouble.details)
        return self.response if isinstance(request, Request) else self.traces_response

    def stop(self) -> None:
        self._server.stop(None).wait()


class HttpCollector(Collector):
    protocol = "http/protobuf"

    def start(self, port: int = 0) -> None:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                kinds = {
                    "/v1/logs": (Request, collector.response),
                    "/v1/traces": (Traces, collector.traces_response),
                }
                if self.path not in kinds:
                    self.answer(404, b"", {})
                    return
                kind, response = kinds[self.path]
                headers = {key.lower(): value for key, value in self.headers.items()}
                trouble = collector.take(kind.FromString(body), headers)
                if trouble is None:
                    self.answer(200, response.SerializeToString(), {})
                else:
                    self.answer(trouble.http, b"", trouble.headers)

            def answer(self, status, body, headers):
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a client that went away, on purpose

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.endpoint = f"http://localhost:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def attributes(record: logs_pb2.LogRecord | trace_pb2.Span) -> dict[str, object]:
    return {pair.key: plain(pair.value) for pair in record.attributes}


def plain(value: common_pb2.AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
    return None if kind is None else getattr(value, kind)
