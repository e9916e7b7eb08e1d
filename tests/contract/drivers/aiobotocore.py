"""aiobotocore against moto: what the driver of botocore does, in an event loop."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace

from aiobotocore.session import get_session

from otelope.testing.driver import run_in_loop
from tests.contract import queues


SERVERS = ("aws_server",)
STYLES = {style: replace(each, asynchronous=True) for style, each in queues.STYLES.items()}
_SESSION = get_session()


class Driver(queues.Queues):
    run = staticmethod(run_in_loop)

    def __init__(self, style, address):
        super().__init__(style, address)
        self.features = STYLES[style]

    @asynccontextmanager
    async def _connected(self, service):
        # Not to be verified, without TLS: reading the certificates took a client 20 ms.
        to = {**queues.ACCESS, "endpoint_url": self.address, "verify": False}
        async with _SESSION.create_client(service, **to) as client:
            yield client
