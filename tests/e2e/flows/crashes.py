"""
The crash matrix: SIGKILL after each arrow of a flow, and what is true then.

Each case has an order of its own, and the client posts it again if nobody answered. Then the same
customer orders once more: when that order's story is told, the one before has happened, as
messages of a customer stay in order, and all is told of it that ever will be.
"""

from __future__ import annotations

import signal

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from examples.flows.expected import Node, nodes_of
from otelope import Envelope
from tests.e2e.flows.harness import Witnesses
from tests.e2e.flows.shop import order_of
from tests.e2e.flows.stories import marks_of


TYPES = ["PlaceOrder", "OrderPlaced", "ShipOrder", "OrderShipped"]
TIMES = {2: "twice", 3: "three times"}
NOTHING = "–"  # noqa: RUF001 - a dash for nothing
SERVICE_UNAVAILABLE = 503
ATTEMPTS = 5

# What was done with an envelope of a type, such as ``OrderPlaced handled by shipping``.
Marks = Counter[str]


class Arrow(NamedTuple):
    """
    An arrow of a flow's sequence.

    Args:
        program: The process that completes it.
        name: As in `examples.flows.steps`.
        begins: The type whose handling begins there, if one does.
        ahead_of: An arrow that another thread of the program may reach before, on a busy machine:
            then the crash was another one, and is tried again.
    """

    program: str
    name: str
    begins: str = ""
    ahead_of: str = ""


class Row(NamedTuple):
    """One line of the table; the fields are called as in `HEADER`."""

    killed: str
    answers: str
    published: str
    handled: str
    failed: str
    lost: str


HEADER = (
    "killed after",
    "the client gets",
    "published",
    "begun to handle",
    "told as failed",
    "not told",
)


def table_of(
    flow: Witnesses, arrows: Sequence[Arrow], story: str, unordered: Collection[str] = ()
) -> str:
    """
    Kill a process after each arrow; the table of what came of it.

    Whatever the arrow, each message is stored once in the end, and the states count it once.

    Args:
        flow: Running.
        arrows: All of them.
        story: What otelope tells of an order when nothing happens.
        unordered: Programs that get an order's messages now in this order, now in that. Of what
            they did not tell, only that on the message that the arrow names is in the table.
    """
    _check_complete(flow, arrows, story)
    rows = [_row(flow, arrows, arrow, story, unordered) for arrow in arrows]
    columns = [
        (title, column)
        for title, column in zip(HEADER, zip(*rows, strict=True), strict=True)
        if set(column) != {NOTHING}
    ]
    lines = zip(*([title, "---", *column] for title, column in columns), strict=True)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _check_complete(flow: Witnesses, arrows: Sequence[Arrow], story: str) -> None:
    """An order that meets no crash completes all arrows that are listed, and no others."""
    running = flow.running
    programs = [program.name for program in running.flow.programs]
    before = {program: len(running.reached(program)) for program in programs}
    command = order_of("crash-none")
    running.post(command)
    flow.tells(command, story)
    reached = {
        (program, name)
        for program in programs
        for name in running.reached(program)[before[program] :]
    }
    assert reached == {(arrow.program, arrow.name) for arrow in arrows}


def _row(
    flow: Witnesses,
    arrows: Sequence[Arrow],
    arrow: Arrow,
    story: str,
    unordered: Collection[str],
) -> Row:
    for attempt in range(ATTEMPTS):
        customer = f"crash-{arrows.index(arrow)}-{attempt}"
        begun_before = _begun(flow, arrows)
        reached_before = len(flow.running.reached(arrow.program))
        command = order_of(customer)
        answers = _crash(flow, arrow, command)
        reached = flow.running.reached(arrow.program)[reached_before:]
        last = order_of(customer, "lamp")
        assert flow.running.post(last) is not None
        usual = _marks(nodes_of(flow.tells(last, story)["root"]))
        if arrow.ahead_of not in reached[: reached.index(arrow.name)]:
            break
    else:
        raise AssertionError(f"{arrow} was never reached first")
    # The last order's handlings were begun too, each once.
    begun = _begun(flow, arrows) - begun_before
    begun -= Counter(begun.keys())

    chain = _chain(flow, command)
    assert sorted(envelope.type for envelope in chain.values()) == sorted(TYPES), arrow
    assert flow.states("orders")[customer] == {"orders": 2, "total": 20 + 45}, arrow
    assert flow.states("shipping")[customer] == {"shipped": 2}, arrow
    published = Counter(
        message.envelope.type
        for messages in flow.published().values()
        for message in messages
        if message.envelope.id in chain
    )
    told = _marks(_told(flow, chain))
    done = Counter({mark.partition(":")[0]: 0 for mark in told})
    for mark, times in told.items():
        done[mark.partition(":")[0]] += times
    facts = Counter({mark: _fact(mark, published, begun) for mark in usual})
    assert done <= facts, (arrow, "told, but not true", done - facts)
    lost = facts - done
    by = f" by {flow.running.service_of(arrow.program)}"
    # What others did with a message shows nowhere when the message itself is not told.
    unseen = tuple(mark.removesuffix("itself") for mark in lost if mark.endswith(" itself"))
    assert all(mark.endswith(by) or mark.startswith(unseen) for mark in lost), (arrow, lost)
    if arrow.program in unordered:
        lost = Counter({mark: n for mark, n in lost.items() if mark.split()[0] in arrow.name})
    return Row(
        f"{arrow.program}: `{arrow.name}`",
        ", then ".join(answers),
        _times(published),
        _times(Counter({what.replace(" handled", ""): n for what, n in begun.items()})),
        _listed(mark.partition(":")[0] for mark in told.elements() if ":" in mark),
        _listed(mark.removesuffix(by) for mark in lost.elements()),
    )


def _crash(flow: Witnesses, arrow: Arrow, command: Envelope) -> list[str]:
    """Post a command that kills a process, and again unless it was answered; the answers."""
    running = flow.running
    running.die_after(arrow.program, arrow.name)
    answers = [running.post(command)]
    assert running.restart(arrow.program) == -signal.SIGKILL
    if answers[0] is None or answers[0].status_code == SERVICE_UNAVAILABLE:
        answers.append(running.post(command))
    return ["no answer" if answer is None else str(answer.status_code) for answer in answers]


def _begun(flow: Witnesses, arrows: Iterable[Arrow]) -> Marks:
    """How often each handling was begun so far."""
    running = flow.running
    begun: Marks = Counter()
    for arrow in arrows:
        if arrow.begins:
            mark = f"{arrow.begins} handled by {running.service_of(arrow.program)}"
            begun[mark] += running.reached(arrow.program).count(arrow.name)
    return begun


def _chain(flow: Witnesses, command: Envelope) -> dict[str, Envelope]:
    """What the databases have of a command and what it has led to, by id."""
    found = {command.id: command}
    pending = flow.stored()
    while children := [each for each in pending if each.parent_id in found]:
        found.update((each.id, each) for each in children)
        pending = [each for each in pending if each.id not in found]
    return {each.id: each for each in flow.stored() if each.id in found}


def _told(flow: Witnesses, chain: dict[str, Envelope]) -> list[Node]:
    """What otelope has of these envelopes; nothing else is there, and parents are right."""
    trees = [tree for each in chain if (tree := flow.running.tree(each))]
    nodes = {node["id"]: node for tree in trees for node in nodes_of(tree["root"])}
    assert nodes.keys() <= chain.keys()
    for node in nodes.values():
        if not node["missing"]:
            assert node["parent_id"] == chain[node["id"]].parent_id
        node["type"] = chain[node["id"]].type
    return list(nodes.values())


def _marks(nodes: Iterable[Node]) -> Marks:
    found: Marks = Counter()
    for node in nodes:
        found.update(f"{node['type']} {mark}" for mark in marks_of(node))
        found[f"{node['type']} itself"] += not node["missing"]
    return found


def _fact(mark: str, published: Counter[str], begun: Marks) -> int:
    """How often it has happened, what a mark says; each was stored once, as is checked."""
    envelope_type, verb, *_ = mark.split()
    if verb == "handled":
        return begun[mark]
    if verb == "sent" and published:
        return published[envelope_type]
    if verb == "sent":  # over HTTP
        return begun[f"{envelope_type} handled by shipping"]
    return 1


def _times(counted: Counter[str]) -> str:
    if not counted:
        return NOTHING
    more = [f"{what} {TIMES[number]}" for what, number in counted.items() if number > 1]
    return _listed(more) if more else "once"


def _listed(items: Iterable[str]) -> str:
    return "; ".join(sorted(items)) or NOTHING
