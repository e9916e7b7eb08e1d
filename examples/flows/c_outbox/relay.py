"""The relay: publishes what waits in the outboxes of both services."""

from __future__ import annotations

import os
import signal
import threading

from sqlalchemy.exc import OperationalError

from examples.flows.adapters import broker_of
from examples.flows.adapters.database import SqlDatabase
from examples.flows.c_outbox.outbox import Outbox
from examples.flows.ports import Unavailable


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
    pause = 0.0
    while not stopped.wait(pause):
        try:
            published = sum(outbox.relay(broker) for outbox in outboxes)
        except (Unavailable, OperationalError) as error:
            pause = min(max(2 * pause, _SHORTEST_PAUSE), _LONGEST_PAUSE)
            print(f"tries again in {pause:.1f} s: {error}", flush=True)
        else:
            pause = 0 if published else _SHORTEST_PAUSE


if __name__ == "__main__":
    main()
