"""azure-servicebus against what stands in for Service Bus: each way to send and to receive."""

from __future__ import annotations

import asyncio
import importlib
import time

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from unittest.mock import patch

from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient as AsyncClient

from otelope.testing import Features, Got, run_inline
from otelope.testing.driver import bridge, run_in_loop


SERVERS = ("servicebus_server",)
# The library waits 0.2 s for what follows a first message: a busy machine sends no more by then.
_AT_ONCE = 20
_PULLED = Features("servicebus", polled=True, in_sender=True, redelivers=True)
_ASYNCHRONOUS = replace(_PULLED, asynchronous=True, in_sender=False)
# By what is sent, and how it is received.
STYLES = {
    "iterator": _PULLED,
    "receive_messages": replace(_PULLED, batch=_AT_ONCE),
    "batch": _PULLED,
    "aio iterator": _ASYNCHRONOUS,
    "aio batch": replace(_ASYNCHRONOUS, batch=_AT_ONCE),
}
PATIENCE = 20
SOON = 0.02
# Where the library waits by the clock: 50 ms for a link to open, a second for a thread to end.
_CLIENT = "azure.servicebus._pyamqp"
_WAITS = {
    "time": (
        f"{_CLIENT}.client",
        "azure.servicebus._servicebus_sender",
        "azure.servicebus._servicebus_receiver",
    ),
    "asyncio": (
        f"{_CLIENT}.aio._client_async",
        "azure.servicebus.aio._servicebus_sender_async",
        "azure.servicebus.aio._servicebus_receiver_async",
    ),
}


_SOCKETS = importlib.import_module(f"{_CLIENT}.aio._transport_async")


class Hasty:
    """A module with a sleep of its own, which is short."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        return getattr(self._module, name)

    def sleep(self, seconds):
        return self._module.sleep(seconds / 50)


@contextmanager
def hasty():
    """The library as it is, but that it waits less, and in asyncio reaches loopback."""
    with ExitStack() as stack:
        for name, modules in _WAITS.items():
            for module in modules:
                there = importlib.import_module(module)
                stack.enter_context(patch.object(there, name, Hasty(getattr(there, name))))
        # 7.12 sets it to what it is, which loopback's is too large for.
        known = set(_SOCKETS.KNOWN_TCP_OPTS) - {"TCP_MAXSEG"}
        stack.enter_context(patch.object(_SOCKETS, "KNOWN_TCP_OPTS", known))
        yield


class Driver:
    def __new__(cls, style, address):
        return object.__new__(Asynchronous if style.startswith("aio") else Synchronous)

    def __init__(self, style, address):
        self.style = style
        self.features = STYLES[style]
        self.address = address
        self.between = lambda: None

    def run(self, scenario):
        with hasty():
            return self.runs(scenario)

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        message = ServiceBusMessage(body, application_properties=dict(headers) or None)
        return {"queue": channel, "message": message}

    async def send_bare(self, channel, body):
        await self.send(self.call(f"{channel}-raw", body, {}))
        await bridge(Driver(self.style, self.address), f"{channel}-raw", channel)
        self.between()

    async def send_in_vain(self, call):
        await self.send({**call, "queue": f"{call['queue']}-full"})

    def together(self, calls):
        """The messages by queue, as many as one call may take."""
        found = {}
        for call in calls:
            found.setdefault(call["queue"], []).append(call["message"])
        return found


class Synchronous(Driver):
    runs = staticmethod(run_inline)

    async def send(self, *calls, positional=False):
        with connected(self.address) as client:
            for queue, messages in self.together(calls).items():
                with client.get_queue_sender(queue) as sender:
                    for given in self._given(sender, messages):
                        if positional:
                            sender.send_messages(given)
                        else:
                            sender.send_messages(message=given)
        self.between()

    def _given(self, sender, messages):
        if self.style == "iterator":
            return messages
        if self.style == "receive_messages":
            return [messages]
        batch = sender.create_message_batch()
        for message in messages:
            batch.add_message(message)
        return [batch]

    async def drive(self, handlers, start, count):
        with connected(self.address) as client:
            receivers = {
                queue: client.get_queue_receiver(queue, max_wait_time=SOON)
                for queue in (handlers if count else ())
            }
            for receiver in receivers.values():
                receiver.__enter__()  # or opening it would be a part of the wait
            await start()
            deadline = time.monotonic() + PATIENCE
            while count > 0:
                for queue, receiver in receivers.items():
                    for message in self._next(receiver, count):
                        count -= 1
                        await self._handle(receiver, message, handlers[queue])
                        if count == 0:
                            break
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{count} messages did not come")

    def _next(self, receiver, count):
        if self.style == "iterator":
            return receiver
        return receiver.receive_messages(min(count, self.features.batch))

    async def _handle(self, receiver, message, handler):
        try:
            await handler(got(message))
        except BaseException:
            receiver.abandon_message(message)
            raise
        receiver.complete_message(message)


class Asynchronous(Driver):
    runs = staticmethod(run_in_loop)

    async def send(self, *calls, positional=False):
        async with connected(self.address, AsyncClient) as client:
            for queue, messages in self.together(calls).items():
                async with client.get_queue_sender(queue) as sender:
                    for given in await self._given(sender, messages):
                        if positional:
                            await sender.send_messages(given)
                        else:
                            await sender.send_messages(message=given)
        self.between()

    async def _given(self, sender, messages):
        if self.style == "aio iterator":
            return messages
        batch = await sender.create_message_batch()
        for message in messages:
            batch.add_message(message)
        return [batch]

    async def drive(self, handlers, start, count):
        async with connected(self.address, AsyncClient) as client:
            receivers = {queue: client.get_queue_receiver(queue) for queue in handlers}
            await start()
            # Not wait_for: it handles the messages in a task of its own.
            timer = asyncio.get_running_loop().call_later(
                PATIENCE, asyncio.current_task().cancel, "no message came"
            )
            try:
                await self._receive(receivers, handlers, count)
            finally:
                timer.cancel()
                # One after the other they take 0.2 s each.
                await asyncio.gather(*(each.close() for each in receivers.values()))

    async def _receive(self, receivers, handlers, count):
        self.left = count
        done = asyncio.Event()
        if not count:
            return

        async def work(receiver, handler):
            async for message in self._messages(receiver):
                try:
                    await handler(got(message))
                except BaseException:
                    await receiver.abandon_message(message)
                    raise
                await receiver.complete_message(message)
                self.left -= 1
                if self.left == 0:
                    done.set()

        tasks = [asyncio.ensure_future(done.wait())]
        tasks += [
            asyncio.ensure_future(work(r, handlers[queue])) for queue, r in receivers.items()
        ]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in ended:
            task.result()

    async def _messages(self, receiver):
        if self.style == "aio iterator":
            async for message in receiver:
                yield message
        while self.left:
            most = min(self.left, self.features.batch)
            for message in await receiver.receive_messages(most, max_wait_time=PATIENCE):
                yield message


def connected(address, client=ServiceBusClient):
    """A client that does not try again what fails."""
    string, _, ca = address.partition("ca=")
    return client.from_connection_string(
        string, connection_verify=ca or None, retry_total=0, socket_timeout=SOON
    )


def got(message):
    headers = {
        name.decode(): value.decode() if isinstance(value, bytes) else value
        for name, value in (message.application_properties or {}).items()
    }
    body = message.body  # in pieces, unless it is a value of AMQP
    return Got(message, body if isinstance(body, bytes) else b"".join(body), headers)
