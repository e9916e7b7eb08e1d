"""What stands in for Azure Service Bus, in a process of its own."""

from __future__ import annotations

import os
import sys
import tempfile

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.running.ports import free_port
from tests.certificates import make_certificate
from tests.e2e.servers.processes import running


PROGRAM = Path(__file__).with_name("servicebus_program.py")
# Older clients insist on TLS, and newer ones leave out the port unless it is the emulator's.
EMULATED = (7, 14)


@contextmanager
def servicebus() -> Iterator[str]:
    """
    A fresh namespace; its connection string, and ``ca=`` with the certificate of what serves it.

    It is that of Microsoft's emulator for clients that know of one.
    """
    import azure.servicebus  # the version of this environment, at both ends

    emulated = tuple(map(int, azure.servicebus.__version__.split(".")[:2])) >= EMULATED
    with tempfile.TemporaryDirectory(prefix="otelope-servicebus-") as name:
        directory = Path(name)
        make_certificate(directory, "localhost")
        port = free_port()
        files = [directory / "localhost.pem", directory / "localhost.key"]
        with running(
            [sys.executable, PROGRAM, "127.0.0.1", str(port), *([] if emulated else files)],
            log=directory / "log",
            ready="serving",
            env=os.environ,
        ):
            emulator = "UseDevelopmentEmulator=true;" if emulated else ""
            credential = "SharedAccessKeyName=tests;SharedAccessKey=none;"
            yield f"Endpoint=sb://127.0.0.1:{port};{credential}{emulator}ca={files[0]}"
