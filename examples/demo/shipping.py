"""The shipping service: packs what is ordered, books what is paid (aiokafka)."""

from __future__ import annotations

import asyncio
import json
import os
import signal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from envelopes import Envelope, envelope


# What happens elsewhere, and what the warehouse does about it.
REACTIONS = {
    "OrderPlaced": "ParcelPacked",
    "PaymentTaken": "ShipmentBooked",
    "PaymentFailed": "ParcelUnpacked",
}


async def work(bootstrap_servers: str) -> None:
    consumer = AIOKafkaConsumer(
        "orders.events",
        "payments.events",
        bootstrap_servers=bootstrap_servers,
        group_id="shipping",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        # The demo's broker keeps a fetch waiting this long, even when a message comes.
        fetch_max_wait_ms=10,
    )
    async with consumer, AIOKafkaProducer(bootstrap_servers=bootstrap_servers) as producer:
        print("shipping: ready", flush=True)
        async for message in consumer:
            event: Envelope = json.loads(message.value)
            parcel = {"orderId": event["payload"]["orderId"]}
            reaction = envelope(REACTIONS[event["type"]], parcel, cause=event)
            await producer.send_and_wait("shipping.events", json.dumps(reaction).encode())
            await consumer.commit()


async def main() -> None:
    working = asyncio.ensure_future(work(os.environ["KAFKA"]))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)
    await asyncio.wait([working])
    if not working.cancelled():
        working.result()


if __name__ == "__main__":
    asyncio.run(main())
