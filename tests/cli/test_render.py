"""Trees as text: a pure function of the JSON."""
# ruff: noqa: E501 - lines are as long as the output

from __future__ import annotations

import time

from datetime import timedelta, timezone

import pytest

from inline_snapshot import snapshot

from otelope.cli.done_lines import delivery_line
from otelope.cli.render import envelope_line, tree_lines
from otelope.cli.style import TYPED, Style
from tests.cli.story import LINEAGE, SHOP, delivery, envelope, order, tree


PLAIN = Style(zone=timezone.utc)


def drawn(answer, style=PLAIN, **options):
    return "\n".join(tree_lines(answer, style, **options))


def test_everything_a_tree_can_have():
    assert drawn(tree(order())) == snapshot("""\
PlaceOrder  command  shop 3.2 → /orders  2026-11-23 14:03:07.120  8f19aa8e…
├─ ✓ orders 1.0  +3 ms, took 12 ms
├─ ✓ orders 1.0 stored in orders-db  took 1 ms
└─ OrderPlaced  (event)  orders 1.0 → orders.events  +14 ms
   ├─ ✗ orders 1.0 stored in orders-db  Deadlock  took 1.5 ms
   ├─ ✓ orders 1.0 stored in orders-outbox  waited 2 ms  took 0.2 ms
   ├─ ✓ mailer  +3 ms, 0.5 ms in the broker, took 5 ms
   ├─ ✓ payments 2.1  +3.5 ms, 1 ms in the broker, took 9 ms
   ├─ customer.thanked  mailer  +5 ms  parent inferred
   └─ ChargeCard  command  payments 2.1 → payments.commands  +8 ms
      ├─ ✗ payments 2.1  CardDeclined  +3 ms, took 6.4 ms
      ├─ ✓ payments 2.1  attempt 2  +1.2 s, took 22 ms
      ├─ PaymentDeclined  (event)  payments 2.1 → payments.events  +9 ms
      │  └─ ✓ orders 1.0  +3 ms, took 2 ms
      └─ PaymentCaptured  (event)  payments 2.1 → payments.events  +1.2 s
         └─ ? shipping 1.4 via shipping.inbox  outcome unknown  redelivered  +10 ms, took 41 ms
6 envelopes, 7 deliveries, 2 failed, 1.3 s, trace 8f19aa8e53c18d2785537575aee39d46\
""")


def test_colours_only_colour():
    coloured = drawn(tree(order()), Style(colours=True, zone=timezone.utc))
    assert coloured == snapshot("""\
\x1b[1mPlaceOrder\x1b[0m  \x1b[33mcommand\x1b[0m  \x1b[32mshop\x1b[0m \x1b[2m3.2\x1b[0m \x1b[2m→\x1b[0m \x1b[35m/orders\x1b[0m  \x1b[2m2026-11-23 14:03:07.120\x1b[0m  \x1b[2m8f19aa8e…\x1b[0m
\x1b[2m├─ \x1b[0m\x1b[32m✓\x1b[0m \x1b[32morders\x1b[0m \x1b[2m1.0\x1b[0m  \x1b[2m+3 ms, took 12 ms\x1b[0m
\x1b[2m├─ \x1b[0m\x1b[32m✓\x1b[0m \x1b[32morders\x1b[0m \x1b[2m1.0\x1b[0m stored in \x1b[35morders-db\x1b[0m  \x1b[2mtook 1 ms\x1b[0m
\x1b[2m└─ \x1b[0m\x1b[1mOrderPlaced\x1b[0m  \x1b[36m(event)\x1b[0m  \x1b[32morders\x1b[0m \x1b[2m1.0\x1b[0m \x1b[2m→\x1b[0m \x1b[35morders.events\x1b[0m  \x1b[2m+14 ms\x1b[0m
\x1b[2m   ├─ \x1b[0m\x1b[31m✗\x1b[0m \x1b[32morders\x1b[0m \x1b[2m1.0\x1b[0m stored in \x1b[35morders-db\x1b[0m  \x1b[1;31mDeadlock\x1b[0m  \x1b[2mtook 1.5 ms\x1b[0m
\x1b[2m   ├─ \x1b[0m\x1b[32m✓\x1b[0m \x1b[32morders\x1b[0m \x1b[2m1.0\x1b[0m stored in \x1b[35morders-outbox\x1b[0m  \x1b[2mwaited 2 ms\x1b[0m  \x1b[2mtook 0.2 ms\x1b[0m
\x1b[2m   ├─ \x1b[0m\x1b[32m✓\x1b[0m \x1b[32mmailer\x1b[0m  \x1b[2m+3 ms, 0.5 ms in the broker, took 5 ms\x1b[0m
\x1b[2m   ├─ \x1b[0m\x1b[32m✓\x1b[0m \x1b[32mpayments\x1b[0m \x1b[2m2.1\x1b[0m  \x1b[2m+3.5 ms, 1 ms in the broker, took 9 ms\x1b[0m
\x1b[2m   ├─ \x1b[0m\x1b[1mcustomer.thanked\x1b[0m  \x1b[32mmailer\x1b[0m  \x1b[2m+5 ms\x1b[0m  \x1b[33mparent inferred\x1b[0m
\x1b[2m   └─ \x1b[0m\x1b[1mChargeCard\x1b[0m  \x1b[33mcommand\x1b[0m  \x1b[32mpayments\x1b[0m \x1b[2m2.1\x1b[0m \x1b[2m→\x1b[0m \x1b[35mpayments.commands\x1b[0m  \x1b[2m+8 ms\x1b[0m
\x1b[2m      ├─ \x1b[0m\x1b[31m✗\x1b[0m \x1b[32mpayments\x1b[0m \x1b[2m2.1\x1b[0m  \x1b[1;31mCardDeclined\x1b[0m  \x1b[2m+3 ms, took 6.4 ms\x1b[0m
\x1b[2m      ├─ \x1b[0m\x1b[32m✓\x1b[0m \x1b[32mpayments\x1b[0m \x1b[2m2.1\x1b[0m  \x1b[33mattempt 2\x1b[0m  \x1b[2m+1.2 s, took 22 ms\x1b[0m
\x1b[2m      ├─ \x1b[0m\x1b[1mPaymentDeclined\x1b[0m  \x1b[36m(event)\x1b[0m  \x1b[32mpayments\x1b[0m \x1b[2m2.1\x1b[0m \x1b[2m→\x1b[0m \x1b[35mpayments.events\x1b[0m  \x1b[2m+9 ms\x1b[0m
\x1b[2m      │  └─ \x1b[0m\x1b[32m✓\x1b[0m \x1b[32morders\x1b[0m \x1b[2m1.0\x1b[0m  \x1b[2m+3 ms, took 2 ms\x1b[0m
\x1b[2m      └─ \x1b[0m\x1b[1mPaymentCaptured\x1b[0m  \x1b[36m(event)\x1b[0m  \x1b[32mpayments\x1b[0m \x1b[2m2.1\x1b[0m \x1b[2m→\x1b[0m \x1b[35mpayments.events\x1b[0m  \x1b[2m+1.2 s\x1b[0m
\x1b[2m         └─ \x1b[0m\x1b[33m?\x1b[0m \x1b[32mshipping\x1b[0m \x1b[2m1.4\x1b[0m via \x1b[35mshipping.inbox\x1b[0m  \x1b[33moutcome unknown\x1b[0m  \x1b[33mredelivered\x1b[0m  \x1b[2m+10 ms, took 41 ms\x1b[0m
6 envelopes, 7 deliveries, \x1b[1;31m2 failed\x1b[0m, 1.3 s, trace 8f19aa8e53c18d2785537575aee39d46\
""")


def test_ascii_where_nothing_else_can_be_shown():
    typed = drawn(tree(order()), Style(marks=TYPED, zone=timezone.utc), ids=True)
    assert typed.isascii()
    assert typed == snapshot("""\
PlaceOrder  command  shop 3.2 -> /orders  2026-11-23 14:03:07.120  8f19aa8e-53c1-8d27-a000-000000000001
|- ok orders 1.0  +3 ms, took 12 ms
|- ok orders 1.0 stored in orders-db  took 1 ms
`- OrderPlaced  (event)  orders 1.0 -> orders.events  +14 ms  8f19aa8e-53c1-8d27-a000-000000000002
   |- FAILED orders 1.0 stored in orders-db  Deadlock  took 1.5 ms
   |- ok orders 1.0 stored in orders-outbox  waited 2 ms  took 0.2 ms
   |- ok mailer  +3 ms, 0.5 ms in the broker, took 5 ms
   |- ok payments 2.1  +3.5 ms, 1 ms in the broker, took 9 ms
   |- customer.thanked  mailer  +5 ms  parent inferred  8f19aa8e-53c1-8d27-a000-000000000004
   `- ChargeCard  command  payments 2.1 -> payments.commands  +8 ms  8f19aa8e-53c1-8d27-a000-000000000003
      |- FAILED payments 2.1  CardDeclined  +3 ms, took 6.4 ms
      |- ok payments 2.1  attempt 2  +1.2 s, took 22 ms
      |- PaymentDeclined  (event)  payments 2.1 -> payments.events  +9 ms  8f19aa8e-53c1-8d27-a000-000000000005
      |  `- ok orders 1.0  +3 ms, took 2 ms
      `- PaymentCaptured  (event)  payments 2.1 -> payments.events  +1.2 s  8f19aa8e-53c1-8d27-a000-000000000006
         `- ? shipping 1.4 via shipping.inbox  outcome unknown  redelivered  +10 ms, took 41 ms
6 envelopes, 7 deliveries, 2 failed, 1.3 s, trace 8f19aa8e53c18d2785537575aee39d46\
""")


def test_the_envelope_asked_for_is_marked_in_any_spelling_of_its_id():
    asked = f"{LINEAGE}-a000-000000000003".replace("-", "").upper()
    lines = list(tree_lines(tree(order()), PLAIN, asked=asked))
    marked = [line for line in lines if line.endswith("◀")]
    assert len(marked) == 1
    assert "ChargeCard" in marked[0]


def test_a_parent_that_nobody_recorded_is_named():
    root = envelope(9, "", None, ("", ""), None, 0, children=[order()])
    root.update(missing=True, source=None, timestamp=None, trace_id=None, type=None, service=None)
    root["children"][0]["lag_ms"] = None
    lines = drawn(tree(root)).splitlines()
    assert lines[0] == f"not recorded  {LINEAGE}-a000-000000000009"
    assert lines[1] == "└─ PlaceOrder  command  shop 3.2 → /orders  2026-11-23 14:03:07.120"
    assert lines[-1].startswith("6 envelopes, 7 deliveries, 2 failed, 1.3 s, trace ")


def test_a_tree_of_one():
    root = envelope(1, "Ping", None, ("", ""), None, 0)
    assert drawn(tree(root)) == snapshot("""\
Ping  2026-11-23 14:03:07.120  8f19aa8e…
1 envelope, 0 deliveries, 0 ms, trace 8f19aa8e53c18d2785537575aee39d46\
""")


def test_several_traces_are_counted():
    far = envelope(1, "Late", None, SHOP, None, 7_200_000, lineage="aaaaaaaa-0000-8000")
    root = envelope(1, "Early", None, SHOP, None, 0, children=[far])
    lines = drawn(tree(root)).splitlines()
    assert lines[1] == "└─ Late  shop 3.2  +2 h"
    assert lines[2] == "2 envelopes, 0 deliveries, 2 h, 2 traces"


def test_a_tree_that_is_cut_off_says_so():
    assert drawn({**tree(order()), "truncated": True}).endswith("cut off here: there are more")


def test_clocks_that_differ_show_as_negative_lags():
    child = envelope(2, "B", None, SHOP, None, -1.5)
    assert "B  shop 3.2  \u22121.5 ms" in drawn(
        tree(envelope(1, "A", None, SHOP, None, 0, children=[child]))
    )


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({"outcome": "ok", "attempt": 1, "redelivered": False}, "✓ shop 3.2  +1 ms, took 2 ms"),
        ({"outcome": "ok", "attempt": 3}, "✓ shop 3.2  attempt 3  +1 ms, took 2 ms"),
        ({"outcome": "ok", "attempt": 2, "redelivered": True}, "✓ shop 3.2  attempt 2  +1 ms, took 2 ms"),
        ({"outcome": "ok", "redelivered": True}, "✓ shop 3.2  redelivered  +1 ms, took 2 ms"),
        ({"outcome": "error", "error_type": None}, "✗ shop 3.2  failed  +1 ms, took 2 ms"),
        ({"outcome": "unknown", "duration_ms": None}, "? shop 3.2  outcome unknown  +1 ms"),
        ({"outcome": "ok", "lag_ms": None}, "✓ shop 3.2  took 2 ms"),
        ({"outcome": "ok", "channel": "retry"}, "✓ shop 3.2 via retry  +1 ms, took 2 ms"),
    ],
)  # fmt: skip
def test_how_a_delivery_ended(changed, shown):
    each = {**delivery(1, SHOP, "topic", 0, 2, 1), **changed}
    assert delivery_line(each, PLAIN, sent_to="topic") == shown


def test_what_messages_say_cannot_drive_the_terminal():
    hostile = "\x1b[2J\x07\r\n\u202eevil\x9b"
    root = envelope(
        1, hostile, "event", (hostile, hostile), hostile, 0,
        deliveries=[
            delivery(1, (hostile, ""), hostile + "2", 0, 1, 1, outcome="error", error_type=hostile),
        ],
    )  # fmt: skip
    root["id"] = hostile
    shown = list(tree_lines(tree(root), PLAIN, ids=True))
    assert len(shown) == 3
    assert all(line.isprintable() for line in shown)
    assert r"\x1b[2J\x07\r\n\u202eevil\x9b" in shown[0]


def test_lone_surrogates_can_be_printed():
    line = envelope_line(envelope(1, "bad\ud800", None, SHOP, None, 0), PLAIN)
    assert line.startswith(r"bad\ud800  shop")


def test_local_times_are_of_the_style_s_zone():
    root = envelope(1, "A", None, SHOP, None, 0)
    style = Style(zone=timezone(timedelta(hours=2)))
    assert "2026-11-23 16:03:07.120" in drawn(tree(root), style)


def test_a_chain_of_5000_generations_is_drawn_in_bounded_lines():
    node = envelope(
        5_000, "Last", None, SHOP, None, 5_000, deliveries=[delivery(1, SHOP, None, 5_000, 1, 1)]
    )
    for number in range(4_999, 0, -1):
        node = envelope(number, "Step", None, SHOP, None, number, children=[node])
    started = time.process_time()
    lines = list(tree_lines(tree(node), PLAIN))
    assert time.process_time() - started < 10
    assert len(lines) == 5_002
    assert max(map(len, lines)) < 200
    assert lines[24].startswith("   " * 23 + "└─ Step")
    assert lines[25].startswith("…1 " + "   " * 23 + "└─ Step")
    assert lines[-3].startswith("…4975 ")
    assert lines[-2].endswith("└─ ✓ shop 3.2  +1 ms, took 1 ms")


def test_100_000_children_of_one_parent():
    children = [envelope(number, "Fan", None, SHOP, None, number) for number in range(2, 100_002)]
    lines = list(
        tree_lines(tree(envelope(1, "Root", None, SHOP, None, 0, children=children)), PLAIN)
    )
    assert lines[1].startswith("├─ Fan")
    assert lines[100_000].startswith("└─ Fan")
    assert lines[-1].startswith("100,001 envelopes, ")
