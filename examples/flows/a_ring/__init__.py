"""Flow A: a ring does all I/O around a service that does none."""

from __future__ import annotations

from examples.flows.flow import Flow, Program


FLOW = Flow(
    "a_ring",
    programs=(
        Program("orders", "1.4.0", http=True),
        Program("shipping", "0.9.3"),
    ),
)
