"""aiobotocore, botocore for asyncio: SQS, SNS and EventBridge."""

from __future__ import annotations

from otelope.core.sites import Settle
from otelope.protocols.aws import aws


_CLIENT = "aiobotocore.client:AioBaseClient"

ADAPTER = aws(
    f"{_CLIENT}._make_api_call",
    Settle(f"{_CLIENT}.close"),
    Settle(f"{_CLIENT}.__aexit__"),
    contrib="opentelemetry.instrumentation.botocore:AiobotocoreInstrumentor",
)
