from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from otelope.store.trees import assemble, dump, envelope_node, flatten, nest


DEEP = 5000


def node(envelope_id, parent_id="", at=0.0):
    return envelope_node(
        [envelope_id, "T", "event", True, at, "s", "1", parent_id, False, None, "c", "t", "x", "v"]
    )


def tree(parents):
    """A tree from each node's parent, given as the index of an earlier one."""
    nodes = {"0": node("0")}
    for position, parent in enumerate(parents, 1):
        nodes[str(position)] = node(str(position), str(parent), float(position))
    return assemble("0", nodes, [])


@st.composite
def parents(draw):
    size = draw(st.integers(0, 30))
    return [draw(st.integers(0, position)) for position in range(size)]


@settings(deadline=None)
@given(parents())
def test_the_text_is_the_tree(made):
    assert json.loads("".join(dump(tree(made)))) == tree(made)


@settings(deadline=None)
@given(parents())
def test_the_flat_form_is_the_same_tree(made):
    flat = flatten(tree(made))

    assert nest(json.loads(json.dumps(flat))) == tree(made)
    assert all(each["parent"] < at for at, each in enumerate(flat["nodes"]) if at)


def test_depth_is_not_limited_by_the_stack():
    chain = tree(range(DEEP))

    text = "".join(dump(chain))
    assert text.count('"children":[{') == DEEP
    nested = nest(json.loads(json.dumps(flatten(chain))))
    depth, current = 0, nested["root"]
    while current["children"]:
        depth, current = depth + 1, current["children"][0]
    assert depth == DEEP
    assert nested["counts"]["envelopes"] == DEEP + 1


def test_children_are_in_order_of_time_then_id():
    nodes = {each["id"]: each for each in (
        node("r"), node("late", "r", 9.0), node("b", "r", 1.0), node("a", "r", 1.0)
    )}  # fmt: skip

    children = assemble("r", nodes, [])["root"]["children"]

    assert [child["id"] for child in children] == ["a", "b", "late"]
    assert [child["lag_ms"] for child in children] == [1.0, 1.0, 9.0]


def test_a_circle_is_cut_where_it_closes():
    nodes = {"a": node("a", "b"), "b": node("b", "a", 1.0)}

    made = assemble("a", nodes, [])

    assert made["counts"]["envelopes"] == 2
    assert made["root"]["children"][0]["children"] == []
