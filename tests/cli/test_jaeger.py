"""From a tree to its traces in Jaeger."""

from __future__ import annotations

import json

import pytest

from otelope.cli.jaeger import jaeger_address, trace_lines, trace_urls
from otelope.cli.style import Style
from tests.cli.conftest import running_up
from tests.cli.story import LINEAGE, SHOP, envelope, export_request, order, tree, walk


ROOT = f"{LINEAGE}-a000-000000000001"
JAEGER = "http://127.0.0.1:16686"


def pages(*nodes):
    return [f"{JAEGER}/trace/{node['trace_id']}" for node in nodes]


@pytest.fixture(scope="module")
def scattered():
    """A root and four events, each in a trace of its own."""
    events = [
        envelope(1, "Told", "event", SHOP, None, n, lineage=f"{n}edcba98-53c1-8d27")
        for n in range(1, 5)
    ]
    return envelope(
        1, "Tell", "command", SHOP, None, 0, lineage="fedcba98-53c1-8d27", children=events
    )


@pytest.mark.parametrize("address", [JAEGER, f" {JAEGER}/ "])
def test_the_page_of_the_trace_stands_below_the_tree(up, otelope, address):
    plain = otelope("tree", ROOT, "--store", up.url)
    done = otelope("tree", ROOT, "--store", up.url, OTELOPE_JAEGER_URL=address)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [*plain.stdout.splitlines(), *pages(order())]


def test_json_has_it_only_where_jaeger_is_known(up, otelope):
    plain = json.loads(otelope("tree", ROOT, "--json", "--store", up.url).stdout)
    done = otelope("tree", ROOT, "--json", "--store", up.url, OTELOPE_JAEGER_URL=JAEGER)
    assert json.loads(done.stdout) == {**plain, "trace_urls": pages(order())}


def test_of_a_tree_in_many_traces_some_are_shown_from_the_root_on(otelope, tmp_path, scattered):
    one_by_one = pages(scattered, *scattered["children"])
    environ = {"OTELOPE_JAEGER_URL": JAEGER}
    with running_up(tmp_path / "data") as up:
        up.send(export_request(walk(scattered)))
        drawn = otelope("tree", scattered["id"], "--store", up.url, **environ)
        asked = otelope("tree", scattered["id"], "--store", up.url, "--json", **environ)
        up.stop()
    direct = otelope("tree", scattered["id"], "--store", str(up.data), "--json", **environ)
    assert drawn.stdout.splitlines()[-4:] == [*one_by_one[:3], "and 2 more traces"]
    assert json.loads(asked.stdout)["trace_urls"] == one_by_one
    assert direct.stdout == asked.stdout


def test_who_handles_without_headers_does_so_in_a_trace_of_its_own():
    root = order()
    handled = root["deliveries"][0]
    handled["trace_id"] = "0af7651916cd43dd8448eb211c80319c"
    assert trace_urls(JAEGER, tree(root)) == pages(root, handled)


def test_as_many_as_are_shown_leave_nothing_to_count():
    urls = [f"{JAEGER}/trace/{number:032x}" for number in range(4)]
    assert list(trace_lines(urls[:3], Style())) == urls[:3]
    assert list(trace_lines(urls, Style()))[3:] == ["and 1 more trace"]


def test_jaeger_below_a_path_of_a_proxy():
    address = jaeger_address({"OTELOPE_JAEGER_URL": "https://tools.example.org/jaeger/"})
    assert address == "https://tools.example.org/jaeger"


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:16686",
        "jaeger",
        "ftp://127.0.0.1",
        "http://",
        "http://[bad",
        "http://127.0.0.1:99999",
        f"{JAEGER}/search?service=orders",
    ],
)
def test_what_is_no_address_is_named(up, otelope, url):
    done = otelope("tree", ROOT, "--store", up.url, OTELOPE_JAEGER_URL=url)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"OTELOPE_JAEGER_URL is '{url}', which is no address of Jaeger" in done.stderr
