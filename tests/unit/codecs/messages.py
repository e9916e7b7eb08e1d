"""Messages and envelopes that the codec tests share."""

from __future__ import annotations

import json

from typing import Any

from hypothesis import strategies as st

from otelope.codecs import Codecs
from otelope.core.carriers import PAIRS, Carrier
from otelope.core.message import Message
from otelope.model.envelope import Envelope, Source


ID = "0ddba115-ca1e-8bad-9a5e-0123456789ab"
PARENT = "0ddba115-ca1e-8bad-8000-0000000000ff"
NOW = 1_763_900_000_123
LIMIT = 4096

METADATA: dict[str, Any] = {
    "id": ID,
    "timestamp": NOW,
    "source": {"name": "orders", "version": "1.2"},
    "parentId": PARENT,
    "type": "OrderPlaced",
}
PAYLOAD: dict[str, Any] = {"orderId": 7, "lines": [{"sku": "abc", "qty": 1}]}
CODECS = Codecs({}, LIMIT)


def encoded(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def recognised(
    body: Any,
    headers: Any = None,
    properties: dict[str, Any] | None = None,
    carrier: Carrier = PAIRS,
    codecs: Codecs = CODECS,
) -> Envelope | None:
    return codecs.recognise(Message("orders", body, headers, properties), carrier)


def json_envelope(text: bytes, **different: Any) -> Envelope:
    """What `METADATA` in this text are recognised as."""
    whole = Envelope(ID, "OrderPlaced", NOW, Source("orders", "1.2"), PARENT, text=text)
    return whole._replace(**different)


def words(longest: int) -> st.SearchStrategy[str]:
    """Text that is fit for metadata."""
    fit = st.characters(exclude_categories=("Cc", "Cs"))
    return st.text(fit, min_size=1, max_size=longest).filter(lambda text: not text.isspace())


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)

ids = st.one_of(st.uuids().map(str), words(256), st.integers(-(10**200), 10**200))
