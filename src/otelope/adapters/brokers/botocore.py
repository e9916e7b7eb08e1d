"""botocore, on which boto3 stands: SQS, SNS and EventBridge."""

from __future__ import annotations

from otelope.core.sites import Settle
from otelope.protocols.aws import aws


_CLIENT = "botocore.client:BaseClient"

ADAPTER = aws(
    f"{_CLIENT}._make_api_call",
    Settle(f"{_CLIENT}.close"),
    contrib="opentelemetry.instrumentation.botocore:BotocoreInstrumentor",
    of_queues="opentelemetry.instrumentation.boto3sqs:Boto3SQSInstrumentor",
)
