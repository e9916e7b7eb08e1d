"""One call's arguments by name, whatever the form of the parameters."""

from __future__ import annotations

import pytest

from otelope.core.call import Call, parameters_of


class Library:
    def push(self, name, *values, left=True):
        pass

    def subscribe(self, *channels, timeout=None, **handlers):
        pass


def call(method, *args, **kwargs):
    return Call(parameters_of(getattr(Library, method)), Library(), args, kwargs)


def test_every_argument_has_its_name():
    pushed = call("push", "orders", 1, 2, left=False)
    assert [pushed[name] for name in ("name", "values", "left")] == ["orders", (1, 2), False]
    subscribed = call("subscribe", "a", "b", timeout=3, c=len, d=None)
    assert subscribed["channels"] == ("a", "b")
    assert subscribed["timeout"] == 3
    assert subscribed["handlers"] == {"c": len, "d": None}


def test_a_function_that_is_no_method_has_no_instance():
    def made(letter, urgent=False):
        return letter, urgent

    assert Call(parameters_of(made), None, ("hello",), {})["letter"] == "hello"
    assert Call(parameters_of(parameters_of), None, (made, "x"), {})["declared"] == "x"


def test_what_was_left_out_is_nothing():
    pushed = call("push", name="orders")
    assert [pushed[name] for name in ("name", "values", "left")] == ["orders", (), None]
    assert call("subscribe")["handlers"] == {}
    assert pushed["unheard of"] is None


@pytest.mark.parametrize("how", [{"args": ("orders",)}, {"kwargs": {"name": "orders"}}])
def test_an_argument_is_replaced_where_it_stands(how):
    pushed = call("push", *how.get("args", ()), **how.get("kwargs", {}))
    pushed["name"] = "others"
    pushed["left"] = False
    assert pushed["name"] == "others"
    assert (len(pushed.args), pushed.kwargs.get("name", "others")) == (
        len(how.get("args", ())),
        "others",
    )
    assert pushed.kwargs["left"] is False


def test_keywords_are_replaced_one_by_one_and_the_callers_are_unchanged():
    given = {"timeout": 3, "c": len, "d": max}
    subscribed = Call(parameters_of(Library.subscribe), Library(), ("a",), given)
    subscribed["handlers"] = {"c": min}
    assert subscribed.kwargs == {"timeout": 3, "c": min, "d": max}
    assert given == {"timeout": 3, "c": len, "d": max}


def test_values_are_replaced_as_a_whole():
    pushed = call("push", "orders", 1, 2)
    pushed["values"] = (3,)
    assert pushed.args == ("orders", 3)
