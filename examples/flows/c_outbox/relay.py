"""The relay: publishes what waits in the outboxes of both services."""

from __future__ import annotations

import os
import signal
import threading

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.exc import OperationalError

from examples.flows.adapters import broker_of
from examples.flows.adapters.database import SqlDatabase
from examples.flows.c_outbox.outbox import Outbox
from examples.flows.ports import Broker, Unavailable


_SHORTEST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0


def main() -> None:
    batch = int(os.environ.get("BATCH", "100"))
    outboxes = [
        Outbox(SqlDatabase(os.environ[f"{service.upper()}_DB"], service), batch)
        for service in ("orders", "shipping")
    ]
    broker = broker_of(os.environ["BROKER"], "relay")
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    print("ready", flush=True)
    # A thread each: a database that keeps its caller waiting does not stop the other's events.
    with ThreadPoolExecutor(len(outboxes)) as pool:
        ends = [pool.submit(_relay, outbox, broker, stopped) for outbox in outboxes]
    for end in ends:
        end.result()


def _relay(outbox: Outbox, broker: Broker, stopped: threading.Event) -> None:
    pause = 0.0
    try:
        while not stopped.wait(pause):
            try:
                published = outbox.relay(broker)
            except (Unavailable, OperationalError) as error:
                pause = min(max(2 * pause, _SHORTEST_PAUSE), _LONGEST_PAUSE)
                print(f"{outbox.name}: tries again in {pause:.1f} s: {error}", flush=True)
            else:
                pause = 0 if published else _SHORTEST_PAUSE
    finally:
        # What nobody expected ends the process, and not only this thread.
        stopped.set()


if __name__ == "__main__":
    main()
