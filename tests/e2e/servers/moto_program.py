"""
moto's server, which makes once what it else makes for each message: as `python -m moto.server`.

A key for each subscription takes 100 ms, a parser for each field of an event 12 ms, and the names
of its services are read from its folder with each request.
"""

from __future__ import annotations

import functools

import jsonpath_ng.ext

from cryptography.hazmat.primitives.asymmetric import rsa
from moto import backends, server


def quicken() -> None:
    """Let moto keep keys, parsers and names; its answers are those that it gives else."""
    jsonpath_ng.ext.parse = functools.cache(jsonpath_ng.ext.parse)
    rsa.generate_private_key = functools.cache(rsa.generate_private_key)
    names = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: names


if __name__ == "__main__":
    quicken()
    server.main()
