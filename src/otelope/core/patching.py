"""Puts wrappers in place when a library is imported, and takes them away again."""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
import sys
import types

from typing import TYPE_CHECKING, Any, NamedTuple

import wrapt

from otelope.core.adapter import Adapter, Site
from otelope.core.call import parameters_of
from otelope.core.guard import guard
from otelope.core.hand_overs import HandOvers
from otelope.core.instrumenter import Instrumenter
from otelope.core.sites.wrapping import Wrapping


_logger = logging.getLogger("otelope")
_MISSING = object()


class SiteError(Exception):
    """A site does not exist in this version of the library."""


if TYPE_CHECKING:
    _FunctionWrapper = wrapt.FunctionWrapper[Any, Any]
else:
    _FunctionWrapper = wrapt.FunctionWrapper  # cannot be subscripted before wrapt 2


class Wrapped(_FunctionWrapper):
    """Our wrappers, told apart from those of others."""


class _Undo(NamedTuple):
    owner: Any
    name: str
    original: Any
    ours: Any


def locate(target: str) -> tuple[Any, str, Any]:
    """
    The class, the method's name and the method that ``module:Class.method`` names.

    Raises:
        SiteError: There is no such method in this version of the library.
    """
    module_name, _, path = target.partition(":")
    *owners, name = path.split(".")
    try:
        owner: Any = importlib.import_module(module_name)
        for part in owners:
            owner = getattr(owner, part)
        return owner, name, getattr(owner, name)
    except (ImportError, AttributeError) as error:
        raise SiteError(f"{target} does not exist here ({error})") from error


class Patches:
    """The wrappers that are in place, in order, so that they can be taken away."""

    def __init__(self, hand_overs: HandOvers) -> None:
        self.hand_overs = hand_overs
        # wrapt looks at it at each call: whether it is empty, as calling a function takes 0.1 µs.
        self._active = [True]
        self._undos: list[_Undo] = []
        self._stand_ins: dict[type, tuple[type, list[type]]] = {}

    def put(self, adapter: Adapter, instrumenter: Instrumenter) -> list[str]:
        """
        Put the wrappers of an adapter in place.

        Returns:
            For each site that could not be wrapped, why; the others are in place.
        """
        problems = []
        for system in adapter.systems:
            for site in system.sites:
                try:
                    self._put(site, system, instrumenter)
                except (SiteError, ValueError) as error:
                    problems.append(str(error))
        for module, part in adapter.parts:
            hook = functools.partial(self._part_imported, part, instrumenter)
            wrapt.register_post_import_hook(hook, module)
        return problems

    def _part_imported(self, part: Adapter, instrumenter: Instrumenter, module: Any) -> None:
        with guard:
            if self._active:
                for text in self.put(part, instrumenter):
                    _logger.info(
                        "otelope does not instrument a part of %s: %s", module.__name__, text
                    )

    def remove(self) -> None:
        """Take all wrappers away: afterwards the original objects are back."""
        self._active.clear()
        for owner, name, original, ours in reversed(self._undos):
            # What another instrumentation has wrapped since stays; ours only passes calls on.
            # Its `unwrap` leaves ours behind as a class hands it out: bound, to nothing.
            there = inspect.getattr_static(owner, name, None)
            if there is not ours and getattr(there, "_self_parent", None) is not ours:
                continue
            if original is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, original)
        self._undos.clear()
        self._stand_ins.clear()

    def _put(self, site: Site, adapter: Adapter, instrumenter: Instrumenter) -> None:
        owner, name, method = locate(site.target)
        writable, others = self._writable(owner, site.target.partition(".")[0].partition(":")[0])
        self._wrap(writable, name, method, site.parameters, site, adapter, instrumenter)
        for subclass in others:
            own = subclass.__dict__.get(name, method)
            self._wrap(subclass, name, own, _declared(own, site), site, adapter, instrumenter)

    def _wrap(
        self,
        owner: Any,
        name: str,
        method: Any,
        parameters: str,
        site: Site,
        adapter: Adapter,
        instrumenter: Instrumenter,
    ) -> None:
        wrapping = Wrapping(
            adapter,
            instrumenter,
            parameters_of(method, parameters),
            self.hand_overs,
            inspect.iscoroutinefunction(method),
            inspect.isgeneratorfunction(method),
        )
        ours = Wrapped(
            inspect.getattr_static(owner, name),
            site.wrapper(wrapping),
            self._active,  # type: ignore[arg-type]  # empty or not
        )
        original = owner.__dict__.get(name, _MISSING)
        setattr(owner, name, ours)
        self._undos.append(_Undo(owner, name, original, ours))

    def _writable(self, owner: Any, root: str) -> tuple[Any, list[type]]:
        """
        The class itself, or for one written in C, which takes no attributes, a stand-in.

        The stand-in is a subclass under the same name that replaces the class wherever the
        library's modules hold it. Subclasses that were made before keep their base, as CPython
        refuses to change it from a C type ("deallocator differs"): they are the second answer.
        """
        if not isinstance(owner, type):
            return owner, []
        if owner in self._stand_ins:
            return self._stand_ins[owner]
        if owner.__flags__ & _HEAP_TYPE:
            return owner, []
        stand_in = _stand_in_of(owner)
        subclasses: list[type] = owner.__subclasses__()
        others = [each for each in subclasses if each is not stand_in]
        # Copies: a list of items allocates, and what the garbage collector then runs, or another
        # thread, may import.
        modules = sys.modules.copy().items()
        for module in [module for name, module in modules if name.partition(".")[0] == root]:
            for name, value in vars(module).copy().items():
                if value is owner:
                    setattr(module, name, stand_in)
                    self._undos.append(_Undo(module, name, owner, stand_in))
        # Other sites of the class find the one or the other.
        self._stand_ins[owner] = self._stand_ins[stand_in] = stand_in, others
        return stand_in, others


@functools.cache  # what an application derives from it is instrumented whenever it is
def _stand_in_of(owner: type) -> type:
    return types.new_class(
        owner.__name__,
        (owner,),
        exec_body=lambda body: body.update(
            __module__=owner.__module__, __qualname__=owner.__qualname__, __doc__=owner.__doc__
        ),
    )


def _declared(method: Any, site: Site) -> str:
    """The parameters to declare for a method of a subclass: none where it says its own."""
    try:
        listed = inspect.signature(method).parameters.values()
    except ValueError:
        return site.parameters
    # What takes any is passed on as it is.
    passed_on = any(each.kind is each.VAR_POSITIONAL for each in listed)
    return site.parameters if passed_on else ""


_HEAP_TYPE = 1 << 9  # CPython's Py_TPFLAGS_HEAPTYPE: defined by a class statement, so writable
