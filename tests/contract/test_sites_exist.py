"""Every site exists in the installed version, with the parameters that the adapter reads."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
import warnings

import pytest

from otelope.adapters.table import TABLE
from otelope.core.call import parameters_of
from otelope.core.patching import locate
from otelope.core.sites import Handle, Operations, Process, Receive, Send, SendMany
from otelope.core.sites.made import Make
from otelope.instrumentor import unsupported


def adapter_of(row):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own quarrels with the Python of today
        importlib.import_module(row.imports)
    return importlib.import_module(row.module).ADAPTER


def sites_of(adapter):
    for system in adapter.systems:
        for site in system.sites:
            yield site
            yield from site.sites.values() if isinstance(site, Operations) else ()
    for module, part in adapter.parts:
        if importlib.util.find_spec(module):
            yield from sites_of(part)


SITES = [(row, site) for row in TABLE for site in sites_of(adapter_of(row))]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_installed_version_is_supported(row):
    assert unsupported(row) is None


@pytest.mark.parametrize(("row", "site"), SITES, ids=lambda each: getattr(each, "target", None))
def test_site_exists_with_the_parameters_that_are_read(row, site):
    _, _, method = locate(site.target)
    parameters = parameters_of(method, site.parameters)
    for name in names_read(site):
        assert name in parameters


@pytest.mark.parametrize(("row", "site"), SITES, ids=lambda each: getattr(each, "target", None))
def test_parameters_are_declared_only_where_there_is_no_signature(row, site):
    _, _, method = locate(site.target)
    try:
        inspect.signature(method)
    except ValueError:
        assert site.parameters
    else:
        assert not site.parameters


def names_read(site):
    """The parameters that a site takes out of a call: ``call["name"]``."""
    if isinstance(site, Process):
        return {site.callback}
    if isinstance(site, Receive):
        function = site.messages
        # A lambda stands within the adapter; none of them reads a call.
        return subscripts(functions_of(function), "asked") if is_named(function) else set()
    if isinstance(site, Send | Handle):
        return subscripts(functions_of(site.message), "call", "where")
    if isinstance(site, Make):
        return subscripts(functions_of(site.message), "making")
    if isinstance(site, SendMany):
        return subscripts(functions_of(site.messages), "call")
    return set()


def is_named(function):
    return function.__name__ != "<lambda>"


def subscripts(functions, *names):
    """What is read of variables of these names."""
    return {
        node.slice.value
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id in names
        and isinstance(node.slice, ast.Constant)
    }


def functions_of(function):
    """The syntax of a function and what that calls in its module; all of that for a lambda."""
    tree = ast.parse(inspect.getsource(sys.modules[function.__module__]))
    functions = {each.name: each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}
    if function.__name__ not in functions:
        return [tree]
    called = [function.__name__]
    for name in called:  # which grows meanwhile
        for node in ast.walk(functions[name]):
            if isinstance(node, ast.Name) and node.id in functions and node.id not in called:
                called.append(node.id)
    return [functions[name] for name in called]


def test_every_sending_reads_something():
    for _, site in SITES:
        if isinstance(site, Send | SendMany):
            assert names_read(site)
