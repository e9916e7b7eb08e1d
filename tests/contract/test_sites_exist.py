"""Every site exists in the installed version, with the parameters that the adapter reads."""

from __future__ import annotations

import ast
import importlib
import inspect

import pytest

from otelope.adapters.table import TABLE
from otelope.core.call import parameters_of
from otelope.core.patching import locate
from otelope.core.sites import Process, Receive, Send
from otelope.instrumentor import unsupported


def adapter_of(row):
    importlib.import_module(row.imports)
    return importlib.import_module(row.module).ADAPTER


SITES = [(row, site) for row in TABLE for site in adapter_of(row).sites]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_installed_version_is_supported(row):
    assert unsupported(row) is None


@pytest.mark.parametrize(("row", "site"), SITES, ids=lambda each: getattr(each, "target", None))
def test_site_exists_with_the_parameters_that_are_read(row, site):
    _, _, method = locate(site.target)
    parameters = parameters_of(method, site.parameters)
    for name in names_read(row, site):
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


def names_read(row, site):
    """The parameters that an adapter takes out of a call: ``call["name"]``."""
    if isinstance(site, Process):
        return {site.callback}
    if isinstance(site, Receive):
        function = site.messages
        # A lambda stands within the adapter; none of them reads a call.
        return subscripts(function, "asked") if function.__name__ != "<lambda>" else set()
    if isinstance(site, Send):
        return subscripts(importlib.import_module(row.module), "call", "where")
    return set()


def subscripts(code, *names):
    """What is read of variables of these names."""
    return {
        node.slice.value
        for node in ast.walk(ast.parse(inspect.getsource(code)))
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id in names
        and isinstance(node.slice, ast.Constant)
    }


def test_every_sending_reads_something():
    for row, site in SITES:
        if isinstance(site, Send):
            assert names_read(row, site)
