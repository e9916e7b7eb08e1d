"""botocore, by boto3, against moto: SQS, SNS with and without raw delivery, EventBridge."""

from __future__ import annotations

from contextlib import asynccontextmanager

import boto3

from otelope.testing import run_inline
from tests.contract.queues import ACCESS, STYLES, Queues


__all__ = ["SERVERS", "STYLES", "Driver"]

SERVERS = ("aws_server",)
_SESSION = boto3.session.Session(**ACCESS)


class Driver(Queues):
    run = staticmethod(run_inline)

    @asynccontextmanager
    async def _connected(self, service):
        client = _SESSION.client(service, endpoint_url=self.address)
        try:
            yield client
        finally:
            client.close()
