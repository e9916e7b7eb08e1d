"""
A program that makes events: `opentelemetry-instrument python load.py FILE RATE SECONDS`.

It stores RATE events a second, which tells otelope of them, and writes their ids to FILE.
"""

from __future__ import annotations

import sys
import time

from pathlib import Path

import otelope


TICKS = 50  # a second
NOTE = "as large as an event usually is " * 25


def main() -> None:
    path, rate, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    print("begins", flush=True)
    started = time.monotonic()
    with path.open("w", encoding="ascii") as ids:
        for tick in range(int(seconds * TICKS)):
            for number in range(rate // TICKS):
                payload = {"tick": tick, "number": number, "note": NOTE}
                event = otelope.envelope("OrderPlaced", payload)
                with otelope.stored(event, to="orders-db"):
                    ids.write(f"{event.id}\n")
            time.sleep(max(0.0, started + (tick + 1) / TICKS - time.monotonic()))
    print(f"done in {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
