"""OTLP over gRPC: a request is answered when its rows are committed."""

from __future__ import annotations

import concurrent.futures
import functools

from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import grpc

from google.protobuf.message import Message

from otelope.collector.batching import BusyError, GroupCommit
from otelope.collector.signals import SIGNALS, MalformedError, Signal
from otelope.store import StoreError


# As many requests as may wait for their commit; a thread that waits costs next to nothing.
_THREADS = 32
_COMMIT_TIMEOUT = 60.0

Server = grpc.Server


class PortTakenError(OSError):
    """The address cannot be listened on."""


def serve(
    commit: GroupCommit, host: str, port: int, max_request_bytes: int
) -> tuple[grpc.Server, int]:
    """
    Start a server.

    Returns:
        The server, and the port it listens on.

    Raises:
        PortTakenError: The address cannot be listened on.
    """
    server = grpc.server(
        ThreadPoolExecutor(_THREADS, thread_name_prefix="otelope-grpc"),
        options=(
            ("grpc.max_receive_message_length", max_request_bytes),
            # Two servers on one port would share the requests between them, silently.
            ("grpc.so_reuseport", 0),
        ),
    )
    server.add_generic_rpc_handlers(tuple(_handler(signal, commit) for signal in SIGNALS.values()))
    address = f"[{host}]" if ":" in host else host
    try:
        bound = server.add_insecure_port(f"{address}:{port}")
    except RuntimeError as error:
        raise PortTakenError(str(error)) from None
    server.start()
    return server, bound


def _handler(signal: Signal, commit: GroupCommit) -> grpc.GenericRpcHandler:
    # No deserializer: a failing one would be answered INTERNAL, which senders may retry.
    method: grpc.RpcMethodHandler[bytes, Message] = grpc.unary_unary_rpc_method_handler(
        functools.partial(_export, signal, commit),
        response_serializer=signal.response.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(signal.service, {"Export": method})


def _export(
    signal: Signal, commit: GroupCommit, body: bytes, context: grpc.ServicerContext
) -> Message:
    try:
        commit.submit(signal.from_protobuf(body)).result(_COMMIT_TIMEOUT)
    except MalformedError as error:
        _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, error)
    except (BusyError, StoreError) as error:
        _refuse(context, grpc.StatusCode.UNAVAILABLE, error)
    except concurrent.futures.TimeoutError:
        _refuse(context, grpc.StatusCode.UNAVAILABLE, "The store does not answer.")
    return signal.response()


def _refuse(context: grpc.ServicerContext, code: grpc.StatusCode, why: object) -> NoReturn:
    context.abort(code, str(why))
    raise AssertionError("abort returned")  # pragma: no cover - it raises
