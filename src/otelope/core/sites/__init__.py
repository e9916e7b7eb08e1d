"""The places where messages pass through a library, and what becomes of them there."""

from __future__ import annotations

from otelope.core.sites.handle import Fail, Handle, Process, Within
from otelope.core.sites.operations import Operations
from otelope.core.sites.receive import Iterate, Receive, Settle
from otelope.core.sites.send import Send, SendMany, send_request
from otelope.core.sites.wrapping import Wrapping


__all__ = [
    "Fail",
    "Handle",
    "Iterate",
    "Operations",
    "Process",
    "Receive",
    "Send",
    "SendMany",
    "Settle",
    "Within",
    "Wrapping",
    "send_request",
]
