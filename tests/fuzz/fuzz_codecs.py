"""
Looks for messages that make a codec raise, take long, take much memory, or let unsound data in.

    python tests/fuzz/fuzz_codecs.py -max_total_time=20

What it learns stays in build/fuzz, which the next run starts from; a message that fails is
written there too. Takes libFuzzer's options.
"""

from __future__ import annotations

import json
import resource
import sys

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import atheris


with atheris.instrument_imports(include=["otelope.codecs", "otelope.model"]):
    from otelope.codecs import Codecs
    from otelope.core.carriers import HTTP, MAPPING, PAIRS
    from otelope.core.message import Message
    from otelope.model.envelope import Envelope, milliseconds
    from otelope.model.identity import canonical, identify


BUILD = Path(__file__).parents[2] / "build" / "fuzz"
LARGEST = 65_536
CODECS = [
    Codecs({}, LARGEST),
    Codecs({"id": "meta.msg_id", "timestamp": "sent.at", "source": "meta.from"}, LARGEST),
]
CARRIERS = [PAIRS, MAPPING, HTTP]
WITH_HEADERS = 8

METADATA = {
    "id": "0ddba115-ca1e-8bad-9a5e-0123456789ab",
    "timestamp": 1763900000123,
    "source": {"name": "orders", "version": "1"},
    "parentId": "17",
    "type": "OrderPlaced",
}
RENAMED = {"meta": {"msg_id": 5, "from": "o"}, "sent": {"at": "2026-11-23T12:00:00Z"}, "type": "T"}
CLOUDEVENT = {"specversion": "1.0", "id": "1", "source": "/o", "type": "t", "causationid": "0"}
BODIES = [
    {**METADATA, "payload": {"a": [1.5, None, "é"]}},
    {"metadata": METADATA, "data": 1},
    {"meta": METADATA, "type": []},
    {"envelope": METADATA, "kind": "event", "channel": "c"},
    RENAMED,
    {**CLOUDEVENT, "time": "2026-11-23T12:00:00.5Z", "data_base64": "AAE="},
]
TASK = "task\nshop.bill\nid\n5\nroot_id\n4\norigin\ngen7@shop"
ARGUMENTS = [[7, "{"], [METADATA], [json.dumps(METADATA)]]
HEADERS = [
    "\n".join(f"ce_{name}\n{value}" for name, value in CLOUDEVENT.items()),
    "message-id\n5\ntype\nT\ntimestamp\n1763900000\nx-causation-id\n4\nsource\no",
]
WORDS = [*METADATA, *CLOUDEVENT, *RENAMED, "name", "metadata", "envelope", "payload", "urn:uuid:"]


def main() -> None:
    corpus = BUILD / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        if recognised(seed) is None:
            raise SystemExit(f"seed {number} is no envelope: the search would start nowhere")
        (corpus / f"seed-{number}").write_bytes(seed)
    words = BUILD / "words"
    words.write_text("".join(f'"{word}"\n"\\"{word}\\":"\n' for word in WORDS))
    # libFuzzer goes by ru_maxrss, which Linux hands down from whoever started this process.
    inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    options = [
        f"-dict={words}",
        f"-artifact_prefix={BUILD}/",
        "-timeout=5",
        f"-rss_limit_mb={1024 + inherited}",
    ]
    atheris.Setup([sys.argv[0], *options, *sys.argv[1:], str(corpus)], one_message)
    atheris.Fuzz()


def seeds() -> Iterator[bytes]:
    for body in BODIES:
        yield bytes([body is RENAMED]) + json.dumps(body).encode()
    for headers in HEADERS:
        yield bytes([WITH_HEADERS | CARRIERS.index(MAPPING) << 1]) + headers.encode() + b"\n\n{}"
    for arguments in ARGUMENTS:
        body = json.dumps([arguments, {"a": 1}, None]).encode()
        yield bytes([WITH_HEADERS | CARRIERS.index(MAPPING) << 1]) + TASK.encode() + b"\n\n" + body


def one_message(data: bytes) -> None:
    recognised(data)


def recognised(data: bytes) -> Envelope | None:
    """What a message is recognised as; its first byte chooses the codecs and the carrier."""
    choice = data[0] if data else 0
    codecs = CODECS[choice & 1]
    carrier = CARRIERS[(choice >> 1 & 3) % len(CARRIERS)]
    head, _, body = data[1:].partition(b"\n\n") if choice & WITH_HEADERS else (b"", b"", data[1:])
    lines = head.split(b"\n")
    headers: Any = list(zip(lines[::2], lines[1::2], strict=False))
    properties: Any = None
    if carrier is not HTTP:
        headers = {str(name, "latin-1"): value for name, value in headers}
        properties = {name: value[:1] and len(value) for name, value in headers.items()}
    envelope = codecs.recognise(Message("channel", body, headers, properties), carrier)
    if envelope is not None:
        check(envelope, body)
        codecs.payload_of(envelope)
        if envelope.text is not None:
            again = codecs.recognise(Message(None, envelope.text), MAPPING)
            if again != envelope:
                raise AssertionError("its own text is recognised as another envelope")
    return envelope


def check(envelope: Envelope, body: bytes) -> None:
    """Whether what later stages rely on holds."""
    identify(envelope.id)
    problems = [
        canonical(envelope.id) != envelope.id,
        not 0 < len(envelope.id) <= 256,
        not 0 < len(envelope.type) <= 256,
        envelope.parent_id in ("", envelope.id),
        envelope.timestamp is not None and milliseconds(envelope.timestamp) is None,
        # A task's is a part of its body.
        not body.startswith(b"[")
        and (envelope.text if envelope.text is not None else envelope.payload) != body,
    ]
    for text in (envelope.id, envelope.type, envelope.parent_id, *envelope.source):
        (text or "").encode()
        problems.append(any(c < " " or c == "\x7f" for c in text or ""))
    if any(problems):
        raise AssertionError(f"unsound: {problems}")


if __name__ == "__main__":
    main()
