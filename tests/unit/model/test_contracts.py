"""The forms of a contract, and that what leaves is within it."""

from __future__ import annotations

import json
import subprocess
import sys

from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, TypedDict

import pydantic
import pytest

from hypothesis import given
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from otelope.model.contracts import ContractError, fields_of
from otelope.model.envelope import Envelope


class Model(pydantic.BaseModel):
    order_id: int = pydantic.Field(alias="orderId")
    total: int = pydantic.Field(serialization_alias="sum")
    note: str
    secret: str = pydantic.Field(exclude=True)

    @pydantic.computed_field
    def due(self) -> int:
        return self.total

    @pydantic.computed_field(alias="paidAt")
    def paid_at(self) -> int:
        return 0


class CamelModel(pydantic.BaseModel, alias_generator=to_camel):
    order_id: int


@dataclass
class Record:
    kind: ClassVar[str] = "event"
    order_id: int
    total: int
    seed: InitVar[int] = 0


@dataclass
class LongerRecord(Record):
    note: str = ""


class Typed(TypedDict):
    orderId: int


class LongerTyped(Typed, total=False):
    total: int


@pytest.mark.parametrize(
    ("outside", "fields"),
    [
        (Model, {"orderId", "sum", "note", "due", "paidAt"}),
        (CamelModel, {"orderId"}),
        (pydantic.dataclasses.dataclass(LongerRecord), {"order_id", "total", "note"}),
        (Record, {"order_id", "total"}),
        (LongerRecord, {"order_id", "total", "note"}),
        (Typed, {"orderId"}),
        (LongerTyped, {"orderId", "total"}),
        (CamelModel.model_json_schema(), {"orderId"}),
        ({"type": "object", "properties": {}}, set()),
        (["orderId", "total", "total"], {"orderId", "total"}),
        ({"orderId"}, {"orderId"}),
        ({"orderId": 1}.keys(), {"orderId"}),
        ((name for name in ("a", "b")), {"a", "b"}),
        ((), set()),
        (set(), set()),
    ],
    # A representation may differ between the workers of a parallel run: sets, addresses.
    ids=lambda form: getattr(form, "__name__", type(form).__name__),
)
def test_every_form_names_the_fields_of_the_wire(outside, fields):
    assert fields_of(outside) == fields


def test_a_model_declares_what_pydantic_writes():
    order = Model(orderId=1, total=2, note="n", secret="s")

    assert fields_of(Model) == set(order.model_dump(by_alias=True))


@pytest.mark.parametrize(
    ("outside", "complaint"),
    [
        ("orderId", "str is no contract"),
        (b"orderId", "bytes is no contract"),
        (7, "int is no contract"),
        (None, "NoneType is no contract"),
        (Record(1, 2), "Record is no contract"),
        (dict, "dict is no contract"),
        (object, "a class is a Pydantic model, a dataclass or a TypedDict"),
        ({"orderId": 1}, "under `properties`"),
        ({"properties": ["orderId"]}, "under `properties`"),
        ([1, 2], "named by text"),
    ],
    ids=repr,
)
def test_what_is_no_contract_is_refused_with_what_would_be(outside, complaint):
    with pytest.raises(TypeError, match=complaint):
        fields_of(outside)


def test_pydantic_is_never_imported():
    code = (
        "import sys\n"
        "from otelope.model.contracts import fields_of\n"
        "fields_of({'orderId'})\n"
        "assert not {'pydantic', 'dataclasses'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-S", "-c", code], check=True, env=_path(), timeout=60)


def _path() -> dict[str, str]:
    import otelope

    return {"PYTHONPATH": otelope.__path__[0].removesuffix("otelope")}


names = st.text(max_size=5)
payloads = st.none() | st.dictionaries(names, st.integers() | names, max_size=8)


@given(payloads, st.none() | st.frozensets(names, max_size=8))
def test_what_leaves_is_what_both_have(payload: Any, outside: frozenset[str] | None):
    envelope = Envelope("5", "OrderPlaced", payload=payload, outside=outside)

    left = json.loads(envelope.to_json())["payload"]

    if payload is None or outside is None:
        assert left == payload
    else:
        assert left == {name: payload[name] for name in payload.keys() & outside}
        assert list(left) == [name for name in payload if name in outside]
    assert json.loads(envelope.to_json(inside=True))["payload"] == payload
    assert envelope.payload == payload


@given(payloads, st.frozensets(names, max_size=8))
def test_metadata_leave_whatever_the_contract(payload: Any, outside: frozenset[str]):
    envelope = Envelope("5", "OrderPlaced", 1.0, payload=payload)

    less = envelope._replace(outside=outside).to_dict()

    assert {**less, "payload": payload} == envelope.to_dict()


@pytest.mark.parametrize("payload", [Record(1, 2), [1], "text", b"{}", 7], ids=repr)
def test_what_has_no_fields_cannot_leave_in_part(payload):
    envelope = Envelope("5", "OrderPlaced", payload=payload, outside=frozenset())

    with pytest.raises(TypeError, match="OrderPlaced has a contract, so make its payload a dict"):
        envelope.to_json()
    assert envelope.to_dict(inside=True)["payload"] is payload


def test_the_error_names_type_and_fields():
    error = ContractError("OrderPlaced", {"email", "card"})

    assert str(error) == "OrderPlaced would leave with card, email: not in its contract"
    assert (error.type, error.leaked) == ("OrderPlaced", ["card", "email"])
