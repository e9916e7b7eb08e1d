"""Flow C: the database is the centre; a relay publishes what it finds in an outbox."""

from __future__ import annotations

from examples.flows.flow import Flow, Program


FLOW = Flow(
    "c_outbox",
    programs=(
        Program("orders", "1.4.0", http=True),
        Program("shipping", "0.9.3"),
        Program("relay", "1.0.0"),
    ),
)
