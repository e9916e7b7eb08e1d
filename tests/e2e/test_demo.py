"""The demo, run as its users run it: what it prints, and that nothing stays behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

from pathlib import Path

import pytest

from examples.running.processes import STOP_SIGNALS
from tests.e2e.leftovers import processes_of


ROOT = Path(__file__).parents[2]

PAID = """\
PlaceOrder  (command)  web-shop 3.0.0 → /orders
├─ ✓ orders 1.4.0
└─ OrderPlaced  (event)  orders 1.4.0 → orders.events
   ├─ ✓ payments 2.1.0
   ├─ ✓ shipping 0.9.3
   ├─ ChargeCard  (command)  payments 2.1.0 → payments.commands
   │  ├─ ✓ payments 2.1.0
   │  └─ PaymentTaken  (event)  payments 2.1.0 → payments.events
   │     ├─ ✓ shipping 0.9.3
   │     └─ ShipmentBooked  (event)  shipping 0.9.3 → shipping.events
   └─ ParcelPacked  (event)  shipping 0.9.3 → shipping.events
6 envelopes, 5 deliveries
"""
DECLINED = """\
PlaceOrder  (command)  web-shop 3.0.0 → /orders
├─ ✓ orders 1.4.0
└─ OrderPlaced  (event)  orders 1.4.0 → orders.events
   ├─ ✓ payments 2.1.0
   ├─ ✓ shipping 0.9.3
   ├─ ChargeCard  (command)  payments 2.1.0 → payments.commands
   │  ├─ ✗ payments 2.1.0  CardDeclined
   │  └─ PaymentFailed  (event)  payments 2.1.0 → payments.events
   │     ├─ ✓ shipping 0.9.3
   │     └─ ParcelUnpacked  (event)  shipping 0.9.3 → shipping.events
   └─ ParcelPacked  (event)  shipping 0.9.3 → shipping.events
6 envelopes, 5 deliveries, 1 failed
"""


@pytest.mark.slow
def test_once_tells_two_orders_and_ends(temporary: Path, tmp_path: Path):
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, ROOT / "examples/demo"],
        cwd=tmp_path,
        env=_environment(temporary, ONCE="1"),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    told = [_told(text) for text in re.split(r"\n\n+", done.stdout.strip())[1:]]
    assert told == [_told(PAID), _told(DECLINED)]
    assert time.monotonic() - started < 60


@pytest.mark.slow
def test_goes_on_until_ctrl_c_and_leaves_nothing(temporary: Path):
    demo = _start(temporary)
    try:
        before = _read_until(demo, "6 envelopes.*1 failed")
        told = _read_until(demo, "6 envelopes")  # an order of the slow traffic
        assert "until Ctrl-C" in before + told
        assert len(processes_of(temporary)) >= 4
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
    finally:
        demo.kill()
        demo.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_during_the_start_leaves_nothing(temporary: Path, number: signal.Signals):
    demo = _start(temporary, ONCE="1")
    try:
        _read_until(demo, "Starting")
        demo.send_signal(number)
        assert demo.wait(30) == 130
    finally:
        demo.kill()
        demo.communicate()


@pytest.mark.slow
def test_a_service_that_dies_ends_the_demo_with_its_last_words(temporary: Path):
    demo = _start(temporary)
    try:
        _read_until(demo, "until Ctrl-C")
        (payments,) = processes_of(temporary, "payments.py")
        os.kill(payments, signal.SIGKILL)
        said = demo.communicate(timeout=60)[0]
        assert demo.returncode == 1
        assert "demo: payments has ended (SIGKILL)." in said
        assert "The last lines of payments:\n  payments: ready" in said
        assert "Traceback" not in said
    finally:
        demo.kill()
        demo.communicate()


def _start(temporary: Path, **own: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "examples.demo"],
        cwd=ROOT,
        env=_environment(temporary, **own),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        bufsize=1,
    )


def _environment(temporary: Path, **own: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "ONCE"}
    return {**inherited, "TMPDIR": str(temporary), "PYTHONIOENCODING": "utf-8", **own}


def _read_until(demo: subprocess.Popen[str], pattern: str) -> str:
    said = ""
    for line in demo.stdout:
        said += line
        if re.search(pattern, line):
            return said
    raise AssertionError(f"{pattern!r} was never said, but:\n{said}")


def _told(text: str) -> list:
    """A printed tree as nested lists without times, in an order that does not depend on them."""
    root: list = ["", []]
    path = [root]
    for line in text.splitlines():
        said = line.lstrip("│├└─ ")
        depth = (len(line) - len(said)) // 3
        said = re.sub(r"  (?:[+−]|\d{4}-).*|, [\d.]+ m?s, trace .*", "", said)  # noqa: RUF001
        node = [said, []]
        path[depth][1].append(node)
        path[depth + 1 :] = [node]
    pending = [root]
    while pending:
        _, below = pending.pop()
        below.sort()
        pending.extend(below)
    return root[1]
