"""Sends the command that a worker waits for: `python client.py by_dramatiq`; prints its id."""

from __future__ import annotations

import importlib
import sys

import shop


body = shop.command()
importlib.import_module(sys.argv[1]).send(body)
print(body["id"])
