"""What holds for every message: what is put in comes out, and nothing makes it raise."""

from __future__ import annotations

import json

from typing import Any

import hypothesis
import pytest

from hypothesis import given
from hypothesis import strategies as st

from otelope.codecs import Codecs
from otelope.core.carriers import HTTP, MAPPING, PAIRS
from otelope.model.envelope import Envelope, Source, milliseconds
from otelope.model.identity import canonical
from tests.unit.codecs.messages import ids, json_values, recognised, words


LIMIT = 1_000_000
NIL = "00000000-0000-0000-0000-000000000000"
ODD_FIELDS = {"id": "a.id", "type": "type", "timestamp": "a.b.t", "source": "meta", "payload": "p"}
ALL_CODECS = [Codecs({}, LIMIT), Codecs(ODD_FIELDS, LIMIT)]
CARRIERS = [PAIRS, MAPPING]

moments = st.integers(10**11, 253_402_300_799_999)
sources = st.builds(Source, words(40), st.just("") | words(10))


@st.composite
def envelopes(draw: st.DrawFn) -> Envelope:
    own = canonical(str(draw(ids)))
    parent = draw(st.none() | ids.map(str).map(canonical))
    return Envelope(
        own,
        draw(words(40)),
        draw(moments),
        draw(sources),
        None if parent in (own, NIL) else parent,
        draw(st.none() | words(20)),
        draw(st.sampled_from([None, "command", "event"])),
        draw(json_values),
    )


@pytest.fixture(scope="module", params=[0, 1])
def codecs(request: pytest.FixtureRequest) -> Codecs:
    return ALL_CODECS[request.param]


@given(envelopes(), st.sampled_from([None, "metadata", "meta", "envelope"]), st.booleans())
def test_json_comes_back(envelope: Envelope, place: str | None, ascii_only: bool) -> None:
    wire = envelope.to_dict()
    payload = wire.pop("payload")
    document = {place: wire, "payload": payload} if place else {**wire, "payload": payload}
    body = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    codecs = ALL_CODECS[0]
    found = recognised(body, codecs=codecs)

    assert found == envelope._replace(payload=None, text=body)
    assert codecs.payload_of(found) == payload


@given(envelopes())
def test_what_the_model_writes_codecs_read(envelope: Envelope) -> None:
    text = envelope.to_json()

    assert recognised(text, codecs=ALL_CODECS[0]) == envelope._replace(payload=None, text=text)


def attributes(envelope: Envelope) -> dict[str, str]:
    found = {
        "specversion": "1.0",
        "id": envelope.id,
        "source": envelope.source.name,
        "type": envelope.type,
        "time": str(envelope.timestamp),
        "channel": envelope.channel,
        "kind": envelope.kind,
        "causationid": envelope.parent_id,
    }
    return {name: value for name, value in found.items() if value is not None}


@given(envelopes())
def test_structured_cloudevents_come_back(envelope: Envelope) -> None:
    body = json.dumps({**attributes(envelope), "data": envelope.payload}).encode()
    codecs = ALL_CODECS[0]
    found = recognised(body, codecs=codecs)

    assert found == envelope._replace(payload=None, text=body, source=Source(envelope.source.name))
    assert codecs.payload_of(found) == envelope.payload


@given(envelopes(), st.sampled_from(["ce_", "ce-", "cloudEvents:", "cloudEvents_", ""]))
def test_binary_cloudevents_come_back(envelope: Envelope, prefix: str) -> None:
    hypothesis.assume(prefix != "ce-" or "%" not in str(attributes(envelope)))
    headers = {prefix + name: value for name, value in attributes(envelope).items()}
    body = json.dumps(envelope.payload).encode()
    codecs = ALL_CODECS[0]
    found = recognised(body, headers, carrier=MAPPING, codecs=codecs)

    assert found == envelope._replace(payload=body, source=Source(envelope.source.name))
    assert codecs.payload_of(found) == envelope.payload


@given(envelopes(), st.binary(), st.booleans())
def test_headers_come_back(envelope: Envelope, body: bytes, pairs: bool) -> None:
    hypothesis.assume(not body.lstrip().startswith(b"{"))
    fields = {
        "id": envelope.id,
        "type": envelope.type,
        "timestamp": str(envelope.timestamp),
        "source": envelope.source.name,
        "sourceVersion": envelope.source.version,
        "parentId": envelope.parent_id or "",
        "channel": envelope.channel or "",
        "kind": envelope.kind or "",
    }
    headers: Any = [(n, v.encode()) for n, v in fields.items()] if pairs else fields

    found = recognised(body, headers, carrier=PAIRS if pairs else MAPPING, codecs=ALL_CODECS[0])

    assert found == envelope._replace(payload=body)


def sound(envelope: Envelope | None, codecs: Codecs) -> None:
    """Everything later stages rely on."""
    codecs.payload_of(envelope or Envelope("", "", text=b""))
    if envelope is None:
        return
    for text in (envelope.id, envelope.type, envelope.parent_id, *envelope.source):
        assert text is None or not any(c < " " or c == "\x7f" for c in text)
        (text or "").encode()
    assert canonical(envelope.id) == envelope.id
    assert 0 < len(envelope.type) <= 256
    assert envelope.timestamp is None or milliseconds(envelope.timestamp) is not None
    assert envelope.text is None or envelope.payload is None
    assert envelope.parent_id not in ("", envelope.id)


@given(body=st.binary())
def test_no_bytes_make_it_raise(codecs: Codecs, body: bytes) -> None:
    sound(recognised(body, codecs=codecs), codecs)


@given(body=st.text(st.characters()))
def test_no_text_makes_it_raise(codecs: Codecs, body: str) -> None:
    sound(recognised('{"timestamp":' + body, codecs=codecs), codecs)


names = st.sampled_from(
    "id type timestamp source parentId channel kind payload data body metadata meta envelope "
    "specversion time causationid parentid data_base64 a b t p name version".split()
)
near_values = st.recursive(
    st.none() | st.booleans() | ids | moments | words(5) | st.just("1.0") | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=9),
    max_leaves=12,
)


@given(document=st.dictionaries(names, near_values))
def test_no_json_makes_it_raise(codecs: Codecs, document: Any) -> None:
    body = json.dumps(document).encode()

    sound(recognised(body, codecs=codecs), codecs)
    sound(recognised(body[:-1] + b', "timestamp": 1e9}', codecs=codecs), codecs)


header_names = names | st.builds("".join, st.tuples(st.sampled_from(["ce_", "x-", "ce-"]), names))
header_values = st.none() | st.integers() | st.binary() | st.text() | ids.map(str) | words(5)


@given(
    headers=st.dictionaries(header_names | st.text(), header_values),
    properties=st.none() | st.dictionaries(header_names, header_values | moments | st.datetimes()),
    body=st.none() | st.binary() | st.text(),
    carrier=st.sampled_from(CARRIERS),
)
def test_no_headers_make_it_raise(
    codecs: Codecs, headers: Any, properties: Any, body: Any, carrier: Any
) -> None:
    sound(recognised(body, headers, properties, carrier, codecs), codecs)


@given(headers=st.lists(st.tuples(st.binary(), st.binary())), body=st.binary())
def test_no_http_request_makes_it_raise(codecs: Codecs, headers: Any, body: bytes) -> None:
    named = [*headers, (b"ce-specversion", b"1.0"), (b"Type", b"%ff%%")]

    sound(recognised(body, named, carrier=HTTP, codecs=codecs), codecs)
