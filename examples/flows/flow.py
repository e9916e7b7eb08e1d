"""What a flow consists of; each flow's package says it as its ``FLOW``."""

from __future__ import annotations

import importlib

from typing import NamedTuple


class Program(NamedTuple):
    """
    A process of a flow: a module of the flow's package.

    Args:
        name: The process's.
        version: The service's.
        http: Whether it serves at a port.
        service: The service's name, where that is not the program's.
        module: The module's name, where that is not the program's.
    """

    name: str
    version: str
    http: bool = False
    service: str = ""
    module: str = ""

    @property
    def ready(self) -> str:
        """What it prints when it is ready, as a pattern."""
        return r"running on http://\S+" if self.http else "ready"


class Flow(NamedTuple):
    """
    A flow.

    Args:
        package: Below `examples.flows`.
        programs: In the order of their start; the first over HTTP takes the commands.
        databases: Of these services.
        placed, rejected, failed: How a command is answered that leads to an order, that the
            domain rejects, that cannot be handled.
    """

    package: str
    programs: tuple[Program, ...]
    databases: tuple[str, ...] = ("orders", "shipping")
    placed: int = 200
    rejected: int = 409
    failed: int = 500


PACKAGES = {"a": "a_ring", "b": "b_broker", "c": "c_outbox", "d": "d_service"}


def flow_of(letter: str) -> Flow:
    """
    The flow of a letter.

    Raises:
        KeyError: There is none.
    """
    flow = importlib.import_module(f"examples.flows.{PACKAGES[letter]}").FLOW
    assert isinstance(flow, Flow)
    return flow
