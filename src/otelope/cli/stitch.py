"""`otelope stitch`: one trace for a chain, made from its records; and that of `otelope up`."""

from __future__ import annotations

import argparse

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from otelope.cli.jaeger import EXAMPLE, JAEGER_VARIABLE, jaeger_address, trace_url
from otelope.cli.moments import length
from otelope.cli.output import print_json, say
from otelope.cli.questions import CannotAskError, Questions
from otelope.cli.render import counted
from otelope.cli.tree import add_id, asked_tree


if TYPE_CHECKING:
    from otelope.collector.daemon import Daemon
    from otelope.stitch import Destination, Stitcher


_WHERE = (
    "http://host:port of an OTLP endpoint such as Jaeger's (default: OTELOPE_STITCH_ENDPOINT, "
    "else OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT, else "
    "http://127.0.0.1:4317)"
)
_AFTER = "30s"


def add_parser(subparsers: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command to the program's sub-commands."""
    parser = subparsers.add_parser(
        "stitch",
        parents=[shared],
        help="write one trace for a chain whose spans are in pieces",
        description="Makes one trace from the records of a chain, with a span for every envelope "
        "and for everything that was done with it, each linked to the original span, and sends "
        "it to an OTLP endpoint. Sent again, it is the same trace.",
        epilog="OTEL_EXPORTER_OTLP_TRACES_PROTOCOL or OTEL_EXPORTER_OTLP_PROTOCOL is grpc, the "
        f"default, or http/protobuf. With {JAEGER_VARIABLE}={EXAMPLE} the trace's page in Jaeger "
        "follows. Exit status: 0 sent, 1 unknown or ambiguous, 2 nobody to ask or to send to.",
    )
    add_id(parser)
    parser.add_argument("--to", metavar="URL", help=_WHERE)
    parser.set_defaults(func=run, asks=True)


def run(args: argparse.Namespace, questions: Questions) -> int:
    """Send the trace; 1 when the id is unknown, ambiguous or too short."""
    from otelope.model.identity import stitched_trace_id
    from otelope.stitch import CannotSendError, chain_spans

    jaeger = jaeger_address()
    destination = _destination(args.to)
    found = asked_tree(args, questions)
    if found is None:
        return 1
    try:
        count = destination.send(chain_spans(found))
    except CannotSendError as error:
        raise CannotAskError(str(error)) from None
    finally:
        destination.close()
    trace_id = f"{stitched_trace_id(found['root']['id']):032x}"
    url = trace_url(jaeger, trace_id) if jaeger else None
    if found["truncated"]:
        say("the chain has more envelopes than were read: the rest is not in the trace")
    if args.json:
        told = {"trace_id": trace_id, "spans": count, "to": destination.where}
        print_json(told | {"truncated": found["truncated"]} | ({"trace_url": url} if url else {}))
    else:
        print(sent_line(trace_id, count, destination.where))
        if url:
            print(url)
    return 0


def sent_line(trace_id: str, count: int, where: str) -> str:
    """What was sent where."""
    return f"trace {trace_id}, {counted(count, 'span')}, is at {where}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `otelope up` may be told of stitching."""
    group = parser.add_argument_group(
        "stitching", "What `otelope stitch` does, for every chain that is in several traces."
    )
    group.add_argument(
        "--stitch", action="store_true", help="do so; it looks back an hour when it starts"
    )
    group.add_argument(
        "--stitch-after",
        metavar="TIME",
        type=_seconds,
        help=f"when nothing of a chain has arrived for so long (default: {_AFTER}); and again "
        "when more has",
    )
    group.add_argument("--stitch-to", metavar="URL", help=_WHERE)


def stitching(args: argparse.Namespace) -> Destination | None:
    """
    Where stitched traces go; None where nobody asked for them.

    Raises:
        CannotAskError: The options make no sense.
    """
    if args.stitch:
        destination = _destination(args.stitch_to)
        where = urlsplit(destination.where)
        here = where.hostname in (args.host, "127.0.0.1", "localhost")
        if here and where.port in (args.grpc_port, args.http_port):
            raise CannotAskError(
                f"the stitched traces would come to this otelope itself, {destination.where}: "
                "name Jaeger's endpoint with --stitch-to, or take another port"
            )
        return destination
    if args.stitch_to or args.stitch_after is not None:
        raise CannotAskError("--stitch-to and --stitch-after say how to stitch: add --stitch")
    return None


def stitcher(args: argparse.Namespace, destination: Destination, daemon: Daemon) -> Stitcher:
    """Begin to stitch what the daemon stores."""
    from otelope.stitch import Stitcher

    after = _seconds(_AFTER) if args.stitch_after is None else args.stitch_after
    stitcher = Stitcher(daemon.store, destination, after)
    stitcher.start()
    return stitcher


def _destination(url: str | None) -> Destination:
    from otelope.stitch import CannotSendError, Destination

    try:
        return Destination(url)
    except CannotSendError as error:
        raise CannotAskError(str(error)) from None


def _seconds(text: str) -> float:
    try:
        return length(text) / 1000
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
