"""From a destination to the transport that reaches it."""

from __future__ import annotations

from otelope.export.destination import Destination
from otelope.export.transport import Transport


def open_transport(where: Destination) -> Transport:
    """The transport for a destination; gRPC or requests are imported here, not before."""
    if where.protocol == "grpc":
        from otelope.export.grpc_transport import GrpcTransport  # noqa: PLC0415 - 120 ms

        return GrpcTransport(where)
    from otelope.export.http_transport import HttpTransport  # noqa: PLC0415 - 200 ms

    return HttpTransport(where)
