"""OTLP over gRPC."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import grpc

from otelope.export.destination import Destination
from otelope.export.protobuf import read_fields
from otelope.export.transport import Refused, Unavailable, read_file, rejected


_RETRY_INFO = b"google.rpc.RetryInfo"

# What a collector says to a request that it will never take. The OTLP specification counts
# UNAUTHENTICATED, PERMISSION_DENIED and UNIMPLEMENTED (no such service: a wrong port) with these;
# they are wrong settings, not wrong items, so items wait for them to be put right.
_REFUSALS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)


class GrpcTransport:
    """
    A channel to a collector.

    Args:
        where: The destination, as the environment says it.

    Raises:
        Unavailable: A certificate or key cannot be read.
    """

    def __init__(self, where: Destination) -> None:
        self._where = where
        self._channel = _connect(where)
        self._export: Any = self._channel.unary_unary(
            where.signal.method, request_serializer=None, response_deserializer=None
        )

    def send(self, request: bytes) -> int:
        """Deliver a request."""
        where = self._where
        try:
            response = self._export(request, timeout=where.timeout, metadata=where.headers)
        except grpc.RpcError as error:
            raise _meaning(error) from None
        return rejected(response)

    def close(self) -> None:
        """Cancel what is on its way and close the channel."""
        self._channel.close()


def _connect(where: Destination) -> grpc.Channel:
    compression = grpc.Compression.Gzip if where.compressed else None
    # A pool of its own: what another channel to the same address, perhaps inherited over a fork,
    # knows of the connection is not ours. Back-off is ours too, so gRPC's must not exceed it.
    options = (
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        ("grpc.enable_retries", 0),
    )
    if not where.secure:
        return grpc.insecure_channel(where.endpoint, options, compression)
    credentials = grpc.ssl_channel_credentials(
        read_file(where.certificate, "CERTIFICATE"),
        read_file(where.client_key, "CLIENT_KEY"),
        read_file(where.client_certificate, "CLIENT_CERTIFICATE"),
    )
    return grpc.secure_channel(where.endpoint, credentials, options, compression)


def _meaning(error: grpc.RpcError) -> Unavailable | Refused:
    code = error.code()
    details = str(error.details() or "")[:200]
    reason = f"{code.name}: {details}" if details else code.name
    if code in _REFUSALS:
        return Refused(reason)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details:
        # gRPC's own answer to a message above the server's limit: smaller ones will pass.
        return Refused(reason)
    return Unavailable(reason, _retry_after(error))


def _retry_after(error: grpc.RpcError) -> float | None:
    """The delay of a ``google.rpc.RetryInfo`` in the status details."""
    trailing: Iterable[tuple[str, bytes]] = cast("Any", error).trailing_metadata() or ()
    status = dict(trailing).get("grpc-status-details-bin", b"")
    try:
        # Status.details, Any.value, RetryInfo.retry_delay, then seconds and nanoseconds.
        detail = read_fields(_message(read_fields(status).get(3)))
        if not _message(detail.get(1)).endswith(_RETRY_INFO):
            return None
        delay = read_fields(_message(read_fields(_message(detail.get(2))).get(1)))
        return int(delay.get(1, 0)) + int(delay.get(2, 0)) / 1e9
    except ValueError:
        return None


def _message(found: int | bytes | None) -> bytes:
    return found if isinstance(found, bytes) else b""
