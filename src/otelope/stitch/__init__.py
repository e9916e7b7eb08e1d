"""One trace for a chain whose spans are in pieces, made from its records."""

from otelope.stitch.destination import CannotSendError, Destination
from otelope.stitch.spans import chain_spans, trace_ids_of
from otelope.stitch.stitcher import Stitcher


__all__ = ["CannotSendError", "Destination", "Stitcher", "chain_spans", "trace_ids_of"]
