"""Command or event: read from the grammar of a type's name, when nothing else says it."""

from __future__ import annotations

import re

from functools import lru_cache
from itertools import pairwise

from otelope.model.envelope import Kind


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_VERSION = re.compile(r"[vV]?\d+")
_SEGMENTS = re.compile(r"[./:+]+")
_GENERIC = re.compile(r"[`<\[(]")  # OrderPlaced`1[[…]], as .NET writes generic types

# Past forms that do not end in "ed", as far as types are named after them.
_IRREGULAR = frozenset(
    "became begun bought broken brought built came chosen done drawn driven fallen fell forgotten "
    "found frozen given gone grown held hidden kept known left lent lost made met moved paid put "
    "ran read rose sent set shut sold spent split stolen sworn taken told understood "
    "undone went withdrawn won written".split()
)
_SAME_AS_IMPERATIVE = frozenset("put read set shut split".split())
# "ed" at the end of words that are no past forms.
_NO_PAST = frozenset(
    "bed bleed breed embed exceed feed heed need proceed red seed shed shred speed succeed".split()
)
# What follows a past form that is not last: UserLoggedIn, ItemAddedToCart.
_PARTICLES = frozenset(
    "as at away back by down for from in into off offline on online onto out over through to "
    "up with".split()
)
# NotifyOrderShipped is no event, though it ends as one.
_REACTIONS = frozenset("announce ensure flag handle mark notify publish set".split())
_IMPERATIVE = frozenset(
    "abort accept acknowledge activate add adjust allocate announce append apply approve archive "
    "assign attach authenticate authorize begin bind block broadcast build buy calculate cancel "
    "change clear clone close collect complete compute configure confirm connect convert copy "
    "correct create deactivate decline decrease define delete deliver deny deploy detach disable "
    "discard disconnect dispatch do drop embed enable enqueue enroll ensure evaluate execute "
    "expire extend finalize finish fix forward freeze fulfil fulfill generate give grant handle "
    "hold increase index ingest initialize initiate insert install invalidate invite join launch "
    "leave link make merge migrate modify move notify open pause pay perform place prepare "
    "proceed produce promote provision prune publish pull purge push put raise reactivate read "
    "rebuild recalculate reconcile recover redeem refresh register reindex reject remove rename "
    "renew reopen repair replace replay reschedule resend reserve reset resize resolve restart "
    "restock restore resume retry revert revoke rotate save sell send set settle shut simulate "
    "speed split start stop store submit subscribe suspend switch sync take terminate translate "
    "trigger unassign unblock undo unfreeze uninstall unlink unlock unpublish unregister "
    "unsubscribe update upgrade upsert validate verify void warn withdraw write".split()
)
# Imperatives too, but alone they name a thing: com.acme.charge says nothing.
_ALSO_NOUNS = frozenset(
    "book call capture charge check claim credit debit deposit export feed flag import issue load "
    "lock log mark pack pick post process purchase queue quote record refund release report "
    "request return review route run scan schedule seed ship sign stage track train transfer "
    "upload use".split()
)
_SAID: dict[str, Kind] = {"command": "command", "event": "event"}
_NAMESPACES: dict[str, Kind] = {"commands": "command", "events": "event"}


@lru_cache(maxsize=1024)
def infer_kind(envelope_type: str) -> Kind | None:
    """
    The kind that a type's grammar suggests; None when it suggests neither.

    ``OrderPlaced``, ``UserLoggedIn`` and ``com.acme.order.placed.v1`` have a past form: events.
    ``PlaceOrder`` and ``order.place`` begin, or end after dots, with an imperative: commands.
    A last word ``Command`` or ``Event`` decides alone; a namespace ``Commands`` or ``Events``
    where the grammar says nothing.
    """
    plain = _VERSION.sub(" ", _GENERIC.split(envelope_type, maxsplit=1)[0])
    segments = [_words(segment) for segment in _SEGMENTS.split(plain)]
    segments = [segment for segment in segments if segment]
    if not segments:
        return None
    words = [word for segment in segments for word in segment]
    name = segments[-1]
    if words[-1] in _SAID:
        return _SAID[words[-1]]
    if name[0] in _REACTIONS and len(name) > 2:  # noqa: PLR2004 - SetRemoved: a set was removed
        return "command"
    if _is_past(words):
        return "event"
    if name[0] in _IMPERATIVE or (name[0] in _ALSO_NOUNS and len(name) > 1):
        return "command"
    return next((_NAMESPACES[s[0]] for s in segments[:-1] if s[0] in _NAMESPACES), None)


def _words(segment: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(segment)]


def _is_past(words: list[str]) -> bool:
    if _past(words[-1]):
        return True
    return any(
        _past(word) and word not in _SAME_AS_IMPERATIVE and following in _PARTICLES
        for word, following in pairwise(words[1:])
    )


def _past(word: str) -> bool:
    return word in _IRREGULAR or (word.endswith("ed") and word not in _NO_PAST)
