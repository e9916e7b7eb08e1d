"""Where spans go: the rules of docs/identity.md, over everything that can be current or known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from otelope.core.placement import (
    Cause,
    Placement,
    Spot,
    place_again,
    place_delivery,
    place_envelope,
)
from otelope.model.identity import Identity, identify, new_id


# Few traces and spans, so that they coincide as often as not.
traces = st.integers(1, 4)
spots = st.builds(Spot, traces, st.integers(1, 6))
identities = st.builds(Identity, traces, st.integers(7, 9), st.booleans())
causes = st.builds(Cause, identities, st.none() | spots, handled_here=st.booleans())
modes = st.sampled_from(["tree", "links", "join"])
heres = st.none() | spots
placed = st.tuples(identities, st.none() | causes, heres, st.booleans(), modes)


def envelope(own, cause, here, headers, mode):
    return place_envelope(own, cause, here, headers=headers, traces=mode)


def trace_of(placement: Placement) -> int:
    return placement.parent.trace_id if placement.parent else placement.trace_id


@given(placed)
def test_envelope_span_always_has_the_span_id_of_its_id(case):
    assert envelope(*case).span_id == case[0].span_id


@given(placed)
def test_otelope_id_is_always_in_its_own_trace_unless_it_is_to_join(case):
    own, cause, _, _, mode = case
    joined = mode == "join" or (cause is not None and cause.actual is not None)
    if own.minted and not joined:
        assert trace_of(envelope(*case)) == own.trace_id


@given(placed)
def test_root_has_exactly_the_ids_of_its_envelope(case):
    placement = envelope(*case)
    if placement.parent is None:
        assert (placement.trace_id, placement.span_id) == case[0][:2]
    else:
        assert placement.trace_id == 0


@given(placed)
def test_parent_is_the_current_span_or_the_cause_and_never_made_up(case):
    _, cause, here, _, _ = case
    placement = envelope(*case)
    assert placement.parent in (None, here, cause.spot if cause else None)


@given(placed)
def test_nothing_that_is_known_gets_lost(case):
    _, cause, here, _, _ = case
    placement = envelope(*case)
    # The cause is the parent or linked, unless the current span stands inside its handling.
    related = {placement.parent, *placement.links}
    if cause is not None and not (cause.handled_here and here in related):
        assert cause.spot in related
    if here is not None and here.trace_id != trace_of(placement):
        assert here in placement.links
        assert placement.back_link


@given(placed)
def test_no_span_is_linked_twice(case):
    placement = envelope(*case)
    assert len(set(placement.links)) == len(placement.links)


@given(placed)
def test_links_mode_gives_every_envelope_a_trace_of_its_own(case):
    own, cause, here, headers, _ = case
    placement = envelope(own, cause, here, headers, "links")
    assert placement.parent is None
    assert placement.trace_id == own.trace_id


@given(placed)
def test_join_mode_joins_whatever_is_current(case):
    own, cause, here, headers, _ = case
    placement = envelope(own, cause, here, headers, "join")
    assert placement.parent == here


@given(placed)
def test_foreign_id_without_headers_or_surroundings_stands_alone(case):
    own, cause, here, _, _ = case
    foreign = own._replace(minted=False)
    assert envelope(foreign, cause, here, False, "tree").parent is None
    if cause is None or cause.actual is None:
        assert envelope(foreign, cause, None, True, "tree").parent is None


@given(spots, heres)
def test_second_sending_is_in_the_trace_of_the_first(sent, here):
    placement = place_again(sent, here)
    assert placement.parent is not None
    assert placement.parent.trace_id == sent.trace_id
    assert (placement.trace_id, placement.span_id) == (0, 0)
    if here is not None and here.trace_id != sent.trace_id:
        assert placement.links == (here,)
        assert placement.back_link


deliveries = st.fixed_dictionaries(
    {
        "own": identities,
        "actual": heres,
        "here": heres,
        "propagated": heres,
        "here_is_entry": st.booleans(),
        "headers": st.booleans(),
        "traces": modes,
    }
)


@given(deliveries)
def test_delivery_has_ids_of_its_own(case):
    placement = place_delivery(**case)
    assert (placement.trace_id, placement.span_id) == (0, 0)


@given(deliveries)
def test_delivery_of_an_otelope_id_is_always_in_its_trace(case):
    case["own"] = case["own"]._replace(minted=True)
    case["traces"] = "tree"
    by_id = Spot(*case["own"][:2])
    placement = place_delivery(**case)
    assert placement.parent is not None
    assert placement.parent.trace_id == by_id.trace_id
    assert placement.nested or placement.parent == by_id


@given(deliveries)
def test_delivery_has_no_parent_that_may_not_exist(case):
    own = case["own"]
    foreign = not own.minted and case["traces"] == "tree" and case["headers"]
    placement = place_delivery(**case)
    if foreign and placement.parent == Spot(*own[:2]):
        # Only what was seen: known from memory, propagated, or current.
        assert placement.parent in (case["actual"], case["propagated"], case["here"])


@given(deliveries)
def test_delivery_loses_nothing_that_is_known(case):
    placement = place_delivery(**case)
    here = case["here"]
    related = {placement.parent, *placement.links}
    if placement.parent is None:
        assert Spot(*case["own"][:2]) in placement.links
        assert here is None or (here in placement.links and placement.back_link)
    elif here is not None and here.trace_id != placement.parent.trace_id:
        assert here in placement.links
        assert placement.back_link
    assert len(set(placement.links)) == len(placement.links)
    assert related


@given(deliveries)
def test_delivery_is_nested_only_in_the_span_that_was_opened_for_it(case):
    placement = place_delivery(**case)
    if placement.nested:
        assert case["here_is_entry"]
        assert placement.parent == case["here"]


def test_chain_of_otelope_ids_nests_in_the_handling():
    parent_id = new_id()
    parent, own = identify(parent_id), identify(new_id(parent_id))
    handling = Spot(parent.trace_id, 77)
    placement = place_envelope(
        own, Cause(parent, None, handled_here=True), handling, headers=True, traces="tree"
    )
    assert placement == Placement(handling, span_id=own.span_id)


def test_relay_of_another_process_hangs_below_the_parent_by_its_id_alone():
    parent_id = new_id()
    parent, own = identify(parent_id), identify(new_id(parent_id))
    assert place_envelope(own, Cause(parent), None, headers=False, traces="tree") == Placement(
        Spot(parent.trace_id, parent.span_id), span_id=own.span_id
    )


def test_parent_of_another_lineage_is_a_link():
    parent, own = identify(new_id()), identify(new_id())
    assert place_envelope(own, Cause(parent), None, headers=True, traces="tree") == Placement(
        None, own.trace_id, own.span_id, (Spot(parent.trace_id, parent.span_id),)
    )
