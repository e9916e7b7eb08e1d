"""Flow D: the service does its I/O itself."""

from __future__ import annotations

from examples.flows.flow import Flow, Program


FLOW = Flow(
    "d_service",
    programs=(
        Program("orders", "1.4.0", http=True),
        Program("shipping", "0.9.3", http=True),
    ),
)
