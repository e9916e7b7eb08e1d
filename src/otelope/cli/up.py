"""`otelope up`: collect, store and answer, on this machine."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys

from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from otelope.cli import clickhouse, stitch
from otelope.cli.jaeger import jaeger_address
from otelope.cli.questions import CannotAskError


if TYPE_CHECKING:
    from otelope.store import Server


def add_parser(subparsers: Any, server: argparse.ArgumentParser) -> None:
    """Add the command to a program's sub-commands."""
    parser = subparsers.add_parser(
        "up",
        parents=[server],
        help="collect envelopes over OTLP, store them and answer questions",
        description="Collects what instrumented programs send over OTLP, stores it, and answers "
        "`otelope tree`, `tail`, `find`, `contracts` and `doctor`, and the viewer in the browser. "
        "Runs until it is interrupted. "
        "With a ClickHouse server it stores there, and answers from there; its tables come from "
        "`otelope schema apply`.",
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        default=None,
        help="where to store (default: otelope in the user's data directory)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s); whoever reaches it can read and write",
    )
    parser.add_argument(
        "--grpc-port",
        metavar="PORT",
        type=_port,
        default=4317,
        help="for OTLP over gRPC (default: %(default)s; 0: any)",
    )
    parser.add_argument(
        "--http-port",
        metavar="PORT",
        type=_port,
        default=4318,
        help="for OTLP over HTTP and for questions (default: %(default)s; 0: any)",
    )
    stitch.add_options(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; 0 after an orderly stop, 1 when it cannot start."""
    logging.basicConfig(format="otelope: %(message)s", level=logging.WARNING)
    try:
        # The server half is an extra; the other commands do without it.
        from otelope.collector.daemon import (
            Address,
            CannotListenError,
            Daemon,
        )
        from otelope.store import CannotOpenError
        from otelope.viewer import pages
    except ModuleNotFoundError as error:
        return _fail(f"`otelope up` needs {error.name}: pip install 'otelope[up]'.")
    # An event's `set` waits for ever where the signal interrupts its `wait` with the lock held.
    stopped: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stopped.put(number))
    try:
        store = _store(args)
        destination = stitch.stitching(args)
        address = Address(args.host, args.grpc_port, args.http_port)
        daemon = Daemon(store, address, pages(jaeger_address()))
    except (CannotAskError, CannotOpenError, CannotListenError) as error:
        return _fail(str(error))
    host, grpc_port, http_port = daemon.address
    where = store if isinstance(store, str) else store.where
    print(
        f"otelope is up: OTLP gRPC {host}:{grpc_port}, HTTP {host}:{http_port}, data in {where}",
        flush=True,
    )
    print(f"Look at it: http://{_named(host)}:{http_port}/", flush=True)
    stitcher = stitch.stitcher(args, destination, daemon) if destination else None
    _wait_for_word(stopped)
    if stitcher:
        stitcher.stop()
    daemon.stop()
    return 0


def _wait_for_word(stopped: SimpleQueue[int]) -> None:
    # By and by: a signal that comes just before a wait without end would be seen with the next.
    while True:
        with suppress(Empty):
            stopped.get(timeout=0.2)
            return


def _store(args: argparse.Namespace) -> str | Server:
    if args.data and args.clickhouse:
        raise CannotAskError("--data and --clickhouse name two places to store: leave one out")
    if not args.data and (server := clickhouse.server(args)):
        return server
    return str((args.data or default_data_directory()).expanduser().absolute())


def default_data_directory() -> Path:
    """Where the platform keeps a user's data; XDG_DATA_HOME decides where it is set."""
    home = os.environ.get("XDG_DATA_HOME")
    if home:
        return Path(home) / "otelope"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "otelope"
    return Path.home() / ".local" / "share" / "otelope"


def _named(host: str) -> str:
    """How a browser on this machine names the address."""
    if host in ("127.0.0.1", "::1", "0.0.0.0", "::"):  # noqa: S104 - looked at, not bound
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:  # noqa: PLR2004 - what TCP has
        raise argparse.ArgumentTypeError(f"{port} is no port: 0 to 65535")
    return port


def _fail(message: str) -> int:
    print(f"otelope: {message}", file=sys.stderr)
    return 1
