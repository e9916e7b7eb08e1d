"""azure-servicebus: Azure Service Bus; one message, lists and batches, and its asyncio."""

from __future__ import annotations

from typing import Any

from azure.core.settings import settings
from azure.servicebus import ServiceBusReceivedMessage

from otelope.core.adapter import Adapter
from otelope.core.message import Message
from otelope.core.sites.batch import Gather
from otelope.protocols.servicebus import PROPERTIES, gathered, received, receiving, sending, stamp


_AIO = "azure.servicebus.aio"
_BATCH = "azure.servicebus._common.message:ServiceBusMessageBatch"


def handed_over(item: Any) -> Message | None:
    if not isinstance(item, ServiceBusReceivedMessage):
        return None
    # No receiver where it was pickled.
    return received(item, getattr(item._receiver, "entity_path", None))  # noqa: SLF001 - not public


def traced() -> bool:
    return settings.tracing_implementation() is not None  # azure-core-tracing-opentelemetry


ADAPTER = Adapter(
    system="servicebus",
    carrier=PROPERTIES,
    sites=(
        *sending("azure.servicebus._servicebus_sender:ServiceBusSender"),
        *receiving("azure.servicebus._servicebus_receiver:ServiceBusReceiver", "_inner_next"),
        Gather(f"{_BATCH}.add_message", gathered, taken=lambda _: True, stamp=stamp("message")),
    ),
    parts=(
        (
            _AIO,
            Adapter(
                system="servicebus",
                carrier=PROPERTIES,
                sites=(
                    *sending(f"{_AIO}._servicebus_sender_async:ServiceBusSender"),
                    *receiving(
                        f"{_AIO}._servicebus_receiver_async:ServiceBusReceiver", "_inner_anext"
                    ),
                ),
                traced=traced,
            ),
        ),
    ),
    message=handed_over,
    traced=traced,
)
