"""What clients do, byte by byte: the table of what must be the same with and without otelope."""

from __future__ import annotations

import gzip

from collections.abc import Callable
from typing import NamedTuple

from otelope.testing.messages import make
from tests.contract.unharmed.endpoints import PART


GIGABYTE = 1 << 30


class Case(NamedTuple):
    """
    What one client does.

    Args:
        play: Does it, given the `Client`, the `Served` application and the body.
        body: What it sends: an envelope, in three parts, unless it is malformed.
        id: Of the envelope.
        delivered: Whether otelope sees that handled.
        says: What is among the bytes that the client gets, whatever the framework.
    """

    play: Callable[..., None]
    body: bytes
    id: str | None = None
    delivered: bool = False
    says: bytes = b""


def head(path, *lines, length):
    return "\r\n".join(
        [
            f"POST /{path} HTTP/1.1",
            "Host: shop",
            "Content-Type: application/json",
            *([f"Content-Length: {length}"] if length is not None else []),
            *lines,
            "\r\n",
        ]
    ).encode()


def parts_of(body):
    return [body[start : start + PART] for start in range(0, len(body), PART)]


def plain(path, *lines, length=None):
    """A request in one piece; its declared length is not its own where that is given."""

    def play(client, served, body):
        client.send(head(path, *lines, length=len(body) if length is None else length), body)
        client.answer()

    return play


def in_parts(client, served, body):
    client.send(head("parts", length=len(body)))
    for number, part in enumerate(parts_of(body), 1):
        client.send(part)
        if served.streams:
            served.log.wait_for("part", number)
    client.answer()


def chunked(path):
    def play(client, served, body):
        chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts_of(body)]
        client.send(head(path, "Transfer-Encoding: chunked", length=None), *chunks, b"0\r\n\r\n")
        client.answer()

    return play


def on_one_connection(client, served, body):
    for path in ("once", "parts", "twice")[: 3 if served.keeps else 1]:
        client.send(head(path, length=len(body)), body)
        client.answer()


def pipelined(client, served, body):
    """The second request comes before the first is answered."""
    client.send(head("unread", length=len(body)), body)
    if served.goes_on:
        client.send(head("once", "Connection: close", length=len(body)), body)
    client.answer()
    if served.goes_on:
        client.rest()


def held_back(client, served, body):
    """It sends its body when it has the answer."""
    client.send(head("unread", length=len(body)), body[: served.ahead])
    client.answer()


def continued(path):
    """It sends its body when it is told to, or not at all."""

    def play(client, served, body):
        client.send(head(path, "Expect: 100-continue", length=len(body)))
        if client.answer() == 100:
            client.send(body)
            # Werkzeug and the standard library, on which it stands, say so each.
            while client.answer() == 100:
                pass

    return play


def gone_amid_body(path):
    def play(client, served, body):
        client.send(head(path, length=len(body)), body[:PART])
        served.begun(path)
        client.close()

    return play


def gone_amid_handling(client, served, body):
    client.send(head("hold", length=len(body)), body)
    served.log.wait_for("held")
    client.break_off()
    served.fence()
    served.log.release()


def gone_amid_answer(client, served, body):
    client.send(head("drip", length=len(body)), body)
    client.until(b"drop one")
    client.break_off()
    served.fence()
    served.log.release()


def dripping(client, served, body):
    """It has the first part of the answer before the second is made."""
    client.send(head("drip", length=len(body)), body)
    client.until(b"drop one")
    served.log.release()
    client.until(b"drop three")


def too_short(path):
    """It declares more than it sends, and says that this is all."""

    def play(client, served, body):
        client.send(head(path, length=len(body) + PART), body)
        served.begun(path)
        client.half_close()
        client.rest()

    return play


def gigabyte(client, served, body):
    """It declares a gigabyte, and leaves."""
    client.send(head("once", length=GIGABYTE), body)
    served.begun("once")
    client.half_close()
    client.rest()
    # Some refuse it; whether that comes before they see that nothing more comes is chance.
    client.forget()


def only_first(client, served, body):
    """It declares a gigabyte, of which the application wants the first part only."""
    client.send(head("first", length=GIGABYTE), body)
    if served.streams:
        client.answer()


def fifty_megabytes(client, served, body):
    chunk = b"10000\r\n%b\r\n" % (b"[" * 0x10000)
    client.send(head("large", "Transfer-Encoding: chunked", length=None))
    for _ in range(800):
        client.send(chunk)
    client.send(b"0\r\n\r\n")
    client.answer()


def _envelope(**payload):
    made = make(**payload)
    body = made.body + b" " * (-len(made.body) % PART)
    assert len(body) > 2 * PART
    return made.id, body


# Name, what the client does, whether that is delivered (None: not by all versions), what it hears.
WELL_FORMED = (
    ("body once", plain("once"), True, b"once"),
    ("body twice", plain("twice"), True, b"twice"),
    ("body as JSON", plain("json"), True, b"json"),
    ("body in parts as they come", in_parts, True, b"parts"),
    ("chunked body once", chunked("once"), True, b"HTTP/1.1 "),  # Bottle decodes chunks again
    ("chunked body in parts", chunked("parts"), True, b"parts"),
    ("requests on one connection", on_one_connection, True, b"once"),
    ("answer without reading", plain("unread"), False, b"unread"),
    ("answer without reading, next request", pipelined, True, b"unread"),
    ("early answer to a body held back", held_back, False, b"unread"),
    ("100-continue, read", continued("once"), True, b"HTTP/1.1 100 "),
    ("100-continue, not read", continued("unread"), False, b"unread"),
    ("client gone amid its body", gone_amid_body("once"), False, b""),
    ("client gone amid its body, in parts", gone_amid_body("parts"), False, b""),
    ("client gone amid the handling", gone_amid_handling, True, b""),
    ("client gone amid the answer", gone_amid_answer, True, b"drop one"),
    ("answer in parts as they are made", dripping, True, b"drop three"),
    ("exception through a middleware", plain("fail"), True, b"HTTP/1.1 500 "),
    ("exception after parts", plain("spoil"), True, b"HTTP/1.1 500 "),
    ("exception after chunks", chunked("spoil"), True, b"HTTP/1.1 500 "),
    ("length too short", plain("once", length=2 * PART), False, b"HTTP/1."),
    ("length too long", too_short("once"), False, b""),
    ("length too long, in parts", too_short("parts"), False, b""),
    ("length of a gigabyte", gigabyte, False, b""),
    ("length of a gigabyte, first part", only_first, False, b""),
    ("two lengths", plain("once", "Content-Length: 7"), None, b"HTTP/1."),
    ("said to be gzip", plain("once", "Content-Encoding: gzip"), False, b"HTTP/1.1 "),
)


def _malformed():
    id_, body = _envelope()
    text = body.decode().strip()
    twice = f'{{"id": "{id_}", {text[1:]}'.encode()
    deep = make(deep="DEEP").body.replace(b'"DEEP"', b"[" * 100_000 + b"]" * 100_000)
    yield "cut off", body.strip()[:-20]
    yield "nothing", b""
    yield "no JSON", b"id=7&type=PlaceOrder"
    yield "JSON after JSON", body + body
    yield "keys twice", twice
    yield "deep within an envelope", deep
    yield "deep", b"[" * 100_000
    yield "not UTF-8", body.replace(b"shop", b"sh\xff\xfep")
    yield "half a surrogate", body.replace(b"shop", b"\\ud800")
    yield "UTF-16", text.encode("utf-16")
    yield "byte order mark", b"\xef\xbb\xbf" + body
    yield "gzip without a word", gzip.compress(body, mtime=0)
    yield "a number for an id", body.replace(f'"{id_}"'.encode(), b"1e999")
    yield "a list", b"[" + body + b"]"
    yield "not a number", body.replace(b'"order": 7', b'"order": NaN')
    yield "zeros", bytes(3 * PART)


def cases():
    """By name."""
    made = {}
    for name, play, delivered, says in WELL_FORMED:
        id_, body = _envelope()
        made[name] = Case(play, body, None if delivered is None else id_, delivered, says)
    for name, body in _malformed():
        for path in ("once", "json"):
            made[f"{name}, {path}"] = Case(plain(path), body, says=b"HTTP/1.1 ")
    id_, body = _envelope()
    body = gzip.compress(body, mtime=0)
    made["gzip"] = Case(plain("once", "Content-Encoding: gzip"), body, id_, says=b"once")
    return made


CASES = cases()
MALFORMED = [case for name, case in CASES.items() if name not in {each[0] for each in WELL_FORMED}]
MALFORMED += [CASES[name] for name in ("length of a gigabyte", "length of a gigabyte, first part")]
