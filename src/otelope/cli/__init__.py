"""The command `otelope`."""

from otelope.cli.command import main


__all__ = ["main"]
