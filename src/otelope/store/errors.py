"""What can go wrong with a store, in words for the person who must act."""

from __future__ import annotations


class StoreError(Exception):
    """A statement failed; the store itself is open."""


class CannotOpenError(StoreError):
    """The store cannot be opened; the message says what to do."""
