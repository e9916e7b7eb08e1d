"""The payment service: charges the card for every order (confluent-kafka)."""

from __future__ import annotations

import json
import os
import signal

from types import FrameType

from confluent_kafka import Consumer, KafkaException, Message, Producer
from envelopes import Envelope, envelope


class CardDeclined(Exception):  # noqa: N818 - what happened, in the words of the trade
    """The bank said no."""


class Payments:
    """Turns placed orders into charges, and charges into payments."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 0})
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "payments",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                # The demo's broker keeps a fetch waiting this long, even when a message comes.
                "fetch.wait.max.ms": 10,
            }
        )
        self._open = True

    def run(self) -> None:
        self._consumer.subscribe(
            ["orders.events", "payments.commands"],
            on_assign=lambda *_: print("payments: ready", flush=True),
        )
        while self._open:
            message = self._consumer.poll(0.5)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            self._handle(message)
        self._consumer.close()
        self._producer.flush()

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._open = False

    def _handle(self, message: Message) -> None:
        received: Envelope = json.loads(message.value() or b"")
        try:
            if received["type"] == "OrderPlaced":
                self._send(
                    "payments.commands",
                    envelope("ChargeCard", received["payload"], cause=received),
                )
            elif received["type"] == "ChargeCard":
                charge = _charge(received["payload"])
                self._send("payments.events", envelope("PaymentTaken", charge, cause=received))
        except CardDeclined as declined:
            # For the broker the command is settled, though it failed: trying again is up to the
            # customer.
            failure = {**received["payload"], "reason": str(declined)}
            self._send("payments.events", envelope("PaymentFailed", failure, cause=received))
            self._consumer.commit(message=message, asynchronous=False)
        else:
            self._consumer.commit(message=message, asynchronous=False)

    def _send(self, topic: str, sent: Envelope) -> None:
        self._producer.produce(topic, json.dumps(sent), sent["payload"]["orderId"])
        self._producer.poll(0)


def _charge(order: dict[str, str]) -> dict[str, str]:
    if order["card"].endswith("0002"):
        raise CardDeclined(f"no funds on the card that ends in {order['card'][-4:]}")
    return {"orderId": order["orderId"], "paid": order["total"]}


if __name__ == "__main__":
    payments = Payments(os.environ["KAFKA"])
    signal.signal(signal.SIGTERM, payments.stop)
    payments.run()
