"""Flow B: the broker is the centre; a writer stores what passes."""

from __future__ import annotations

from examples.flows.flow import Flow, Program


FLOW = Flow(
    "b_broker",
    programs=(
        Program("api", "2.0.0", http=True),
        Program("orders", "1.4.0"),
        Program("shipping", "0.9.3"),
        Program("writer", "1.0.0"),
    ),
    placed=201,
    rejected=201,
    failed=201,
)
