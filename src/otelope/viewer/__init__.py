"""Pages in which people look at chains; they ask the JSON API."""

from otelope.viewer.app import pages


__all__ = ["pages"]
