"""Celery against RabbitMQ and Redis: tasks by themselves and by name; a worker in this thread."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

from celery import Celery
from celery.exceptions import WorkerShutdown
from kombu import Queue
from kombu.asynchronous import get_event_loop
from opentelemetry.instrumentation.utils import suppress_instrumentation

from otelope.testing import Features, Got, run_inline


SERVERS = ("rabbitmq_server", "redis_server")
_FEATURES = Features("rabbitmq", in_sender=True, raises=False, tasks=True)
STYLES = dict.fromkeys(("apply_async", "send_task"), _FEATURES)
NAME = "shop.handle"


class Driver:
    run = staticmethod(run_inline)

    def __init__(self, style, address):
        self.style = style
        self.address = address
        system = "redis" if address.startswith("redis:") else "rabbitmq"
        self.features = replace(STYLES[style], system=system)
        self.between = lambda: None
        self._app = None
        self._handled = None

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        named = {} if self.style == "apply_async" else {"name": NAME}
        to = {"queue": channel, "headers": dict(headers) or None}
        return {**named, "args": [body.decode()], **to}

    async def send(self, *calls, positional=False):
        with self._open() as app, made(self.address) as other:
            # By its name a task is sent by who does not know it.
            by_name = self.style == "send_task"
            send = other.send_task if by_name else app.tasks[NAME].apply_async
            for call in calls:
                first = [call[name] for name in ("name", "args") if name in call] * positional
                rest = [name for name in call if not positional or name not in ("name", "args")]
                send(*first, **{name: call[name] for name in rest})
        self.between()

    async def send_bare(self, channel, body):
        raw = f"{channel}raw"
        with self._open() as app, app.connection_for_write() as connection:
            queue = Queue(raw)(connection)
            await self.send(self.call(raw, body, {}))
            with suppress_instrumentation():
                while (message := queue.get(accept=["json"])) is None:
                    pass
                # Without Celery's own headers it would be no task.
                own = app.amqp.as_task_v2("", "").headers
                connection.Producer().publish(
                    message.body,
                    channel,
                    content_type=message.content_type,
                    content_encoding=message.content_encoding,
                    headers={name: message.headers[name] for name in own},
                    correlation_id=message.properties["correlation_id"],
                    declare=[Queue(channel)],
                )
                message.ack()
                queue.delete()
        self.between()

    async def send_in_vain(self, call):
        await self.send({**call, "serializer": "of nobody"})

    async def drive(self, handlers, start, count):
        with self._open() as app:

            def handled(request, body):
                nonlocal count
                headers = {k: v for k, v in vars(request).items() if isinstance(v, str)}
                try:
                    handler = handlers[request.delivery_info["routing_key"]]
                    run_inline(handler(Got(body, body.encode(), headers)))
                finally:
                    count -= 1
                    if not count:
                        stop()

            self._handled = handled
            await start()
            if count:
                work(app, list(handlers))
            if count:
                raise TimeoutError(f"{count} messages did not come")

    @contextmanager
    def _open(self):
        if self._app is not None:
            yield self._app
            return
        with made(self.address) as app:

            @app.task(name=NAME, bind=True, acks_late=True, shared=False)
            def handle(task, body):
                self._handled(task.request, body)

            app.set_current()  # a worker of a pool asks for nobody else's tasks
            self._app = app
            try:
                yield app
            finally:
                self._app = None


@contextmanager
def made(address):
    """An application without tasks."""
    with Celery("contract", broker=address, set_as_current=False) as app:
        app.conf.update(
            broker_connection_retry_on_startup=False,
            task_ignore_result=True,
            worker_hijack_root_logger=False,
            # Its queue has the name of the machine, and more than one test runs on that.
            worker_enable_remote_control=False,
            broker_transport_options={"polling_interval": 0.01},
        )
        yield app


def stop():
    """Say in a task that it is the worker's last."""
    get_event_loop().call_soon(_shut_down)


def work(app, queues, longest=20):
    """Be a worker until `stop`, for so many seconds at most."""
    worker = app.WorkController(
        pool_cls="solo",
        queues=queues,
        without_gossip=True,
        without_heartbeat=True,
        without_mingle=True,
    )
    at_last = worker.hub.call_later(longest, _shut_down)
    # What py-amqp 5.4 has read already is not looked at before the next turn.
    turns = worker.hub.call_repeatedly(0.05, lambda: None)
    try:
        worker.start()
    finally:
        # The next worker has the same loop.
        at_last.cancel()
        turns.cancel()


def _shut_down():
    raise WorkerShutdown(0)
