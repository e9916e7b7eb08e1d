"""`otelope tree`, `find` and `tail`, asking a real `otelope up` and a real data directory."""

from __future__ import annotations

import json
import os
import socket
import subprocess

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from examples.running.ports import free_port
from otelope.cli.find import envelope_table
from otelope.cli.render import tree_lines
from otelope.cli.style import Style
from tests.cli.conftest import environment, program, running_tail, running_up
from tests.cli.story import (
    LINEAGE,
    SHOP,
    START,
    delivery,
    envelope,
    export_request,
    order,
    tree,
    walk,
)


ROOT = f"{LINEAGE}-a000-000000000001"
DEEP = "5000aaaa-53c1-8d27"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The data directory of an `otelope up` that does not run any more, and holds the tree."""
    data = tmp_path_factory.mktemp("stopped") / "otelope"
    with running_up(data) as up:
        for node in walk(order()):
            up.send(export_request([node]))
        up.stop()
    return data


def rounded(value):
    """JSON with its times to a hundredth of a millisecond, as exact as nanoseconds in a double."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return round(value, 2) if isinstance(value, float) else value


@pytest.mark.parametrize("number", range(1, 7))
def test_any_id_of_the_tree_finds_all_of_it(up, otelope, number):
    done = otelope("tree", f"{LINEAGE}-a000-{number:012x}", "--json", "--store", up.url)
    assert done.returncode == 0
    assert rounded(json.loads(done.stdout)) == tree(order())


def test_so_does_its_trace_id(up, otelope):
    done = otelope("tree", order()["trace_id"], "--json", OTELOPE_STORE=up.url)
    assert rounded(json.loads(done.stdout)) == tree(order())


def test_the_drawing_is_that_of_the_renderer(up, otelope):
    done = otelope("tree", ROOT, "--store", f"{up.url}/")
    expected = list(tree_lines(tree(order()), Style(), asked=ROOT))
    assert (done.returncode, done.stdout.splitlines()) == (0, expected)


def test_colours_where_they_are_asked_for(up, otelope):
    done = otelope("tree", ROOT, "--ids", "--store", up.url, FORCE_COLOR="1")
    expected = list(tree_lines(tree(order()), Style(colours=True), asked=ROOT, ids=True))
    assert done.stdout.splitlines() == expected


def test_a_stream_that_takes_only_ascii_gets_it(up, otelope):
    done = otelope("tree", ROOT, "--store", up.url, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "`- OrderPlaced  (event)  orders 1.0 -> orders.events" in done.stdout


def test_an_ambiguous_prefix_lists_the_candidates(up, otelope):
    twins = [
        envelope(number, "Twin", "event", SHOP, None, number, lineage=f"abcdef{number}a-0000-8000")
        for number in (1, 2)
    ]
    up.send(export_request(twins))
    done = otelope("tree", "abcdef", "--store", up.url)
    assert done.returncode == 1
    assert "'abcdef' may mean 2 envelopes: ask for one of these" in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "abcdef2a-0000-8000-a000-000000000002",
        "abcdef1a-0000-8000-a000-000000000001",
    ]
    done = otelope("tree", "abcdef", "--json", "--store", up.url)
    assert done.returncode == 1
    assert [each["type"] for each in json.loads(done.stdout)["candidates"]] == ["Twin", "Twin"]
    done = otelope("tree", "ABCDEF1", "--store", up.url)
    assert (done.returncode, done.stdout.splitlines()[0].split()[0]) == (0, "Twin")


def test_an_unknown_id_says_so(up, otelope):
    done = otelope("tree", "deadbeef-no/such?id", "--store", up.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing is known of 'deadbeef-no/such?id'" in done.stderr
    done = otelope("tree", "deadbeef", "--json", "--store", up.url)
    assert (done.returncode, json.loads(done.stdout)) == (
        1,
        {"error": "unknown", "id": "deadbeef"},
    )


def test_a_prefix_that_is_too_short_is_refused(up, stopped, otelope):
    done = otelope("tree", "8f19a", "--store", up.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "'8f19a' is too short: give 6 characters or more" in done.stderr
    assert otelope("tree", "8f19a", "--store", str(stopped)).stderr == done.stderr


def test_a_chain_of_5000_generations(up, otelope):
    node = envelope(5_000, "Step", "event", SHOP, "steps", 5_000, lineage=DEEP)
    for number in range(4_999, 0, -1):
        node = envelope(
            number, "Step", "event", SHOP, "steps", number, lineage=DEEP, children=[node]
        )
    up.send(export_request(walk(node)))
    done = otelope("tree", f"{DEEP}-a000-{2500:012x}", "--store", up.url)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 5_001
    assert lines[-1].startswith("5,000 envelopes, 0 deliveries, 5 s, trace ")
    done = otelope("tree", f"{DEEP}-a000-{2500:012x}", "--json", "--store", up.url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"type":"Step"') == 5_000


def test_find(up, otelope):
    done = otelope("find", "--source", "payments", "--json", "--store", up.url)
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert [each["type"] for each in found] == ["PaymentCaptured", "PaymentDeclined", "ChargeCard"]
    assert [each["failed"] for each in found] == [False, False, True]
    done = otelope("find", "--source", "payments", "--store", up.url)
    assert done.stdout.splitlines() == list(envelope_table(found, Style()))


@pytest.mark.parametrize(
    ("filters", "types"),
    [
        (["--type", "OrderPlaced"], ["OrderPlaced"]),
        (["--channel", "payments.commands"], ["ChargeCard"]),
        (["--failed"], ["ChargeCard", "OrderPlaced"]),
        ([f"{LINEAGE}-A000-000000000004"], ["customer.thanked"]),
        (["--since", f"{START + 100:.0f}", "--until", f"{START + 2000:.0f}"], ["PaymentCaptured"]),
        (["--until", "2026-11-23T14:03:07.130Z"], ["PlaceOrder"]),
        (["--limit", "1", "--source", "payments"], ["PaymentCaptured"]),
    ],
)
def test_filters(stopped, otelope, filters, types):
    done = otelope("find", *filters, "--json", "--store", str(stopped))
    assert [each["type"] for each in json.loads(done.stdout)] == types


def test_nothing_found(up, otelope):
    done = otelope("find", "--type", "NoSuchType", "--store", up.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"no envelope at {up.url} satisfies all of this" in done.stderr
    done = otelope("find", "--type", "NoSuchType", "--json", "--store", up.url)
    assert (done.returncode, json.loads(done.stdout)) == (1, [])


@pytest.mark.parametrize("argument", ["--since=yesterday", "--limit=0", "--limit=x"])
def test_arguments_that_make_no_sense(otelope, argument):
    done = otelope("find", argument)
    assert done.returncode == 2
    assert argument.partition("=")[2] in done.stderr


def test_tail_once(stopped, otelope):
    done = otelope("tail", "--once", "--json", "--store", f"chdb://{stopped}")
    assert done.returncode == 0
    items = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted((each["what"], each["type"]) for each in items) == [
        ("envelope", "ChargeCard"),
        ("envelope", "OrderPlaced"),
        ("envelope", "PaymentCaptured"),
        ("envelope", "PaymentDeclined"),
        ("envelope", "PlaceOrder"),
        ("envelope", "customer.thanked"),
        ("failure", "ChargeCard"),
        ("failure", "OrderPlaced"),
    ]
    done = otelope("tail", "--once", "--store", str(stopped))
    assert len(done.stdout.splitlines()) == 8
    failure = next(line for line in done.stdout.splitlines() if "CardDeclined" in line)
    assert failure == (
        "2026-11-23 14:03:07.145  ✗ payments 2.1 via payments.commands  CardDeclined  "
        f"+3 ms, took 6.4 ms  ChargeCard  {LINEAGE}-a000-000000000003"
    )


def test_tail_follows_until_it_is_interrupted(tmp_path):
    with running_up(tmp_path / "data") as up, running_tail(up) as tail:
        for number, name in enumerate(("First", "Second")):
            lineage = f"{number}abcdefa-0000-8000"
            up.send(export_request([envelope(1, name, "event", SHOP, None, 0, lineage=lineage)]))
            assert f"  {name}  event  shop 3.2  {lineage}-a000-" in tail.line()
        failure = delivery(1, SHOP, None, 9, 1, 1, outcome="error", error_type="ValueError")
        up.send(
            export_request([envelope(3, "Third", "event", SHOP, None, 9, deliveries=[failure])])
        )
        lines = sorted([tail.line(), tail.line()], key=lambda line: "✗" in line)
        assert "  Third  event  shop 3.2  " in lines[0]
        assert "  ✗ shop 3.2  ValueError  +1 ms, took 1 ms  Third  " in lines[1]
        tail.interrupt()
        assert (tail.process.returncode, tail.complaints()) == (0, "")


def test_tail_waits_for_a_daemon_that_is_gone(tmp_path):
    with running_up(tmp_path / "data") as up, running_tail(up) as tail:
        up.send(export_request([order()]))
        assert "  PlaceOrder  " in tail.line()
        up.stop()
        tail.waits_for_complaint()
        tail.interrupt()
        assert tail.process.returncode == 0
        complaint = tail.complaints()
        assert complaint.startswith("otelope: ")
        assert f" at {up.url}" in complaint
        assert complaint.endswith("Waiting for it; Ctrl-C ends this\n")


def test_output_may_be_cut_short(up):
    end, begin = os.pipe()
    os.close(end)
    with os.fdopen(begin, "wb") as broken:
        done = subprocess.run(
            program("tree", ROOT, "--store", up.url),
            check=False, env=environment(), stdout=broken, stderr=subprocess.PIPE, timeout=60,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (141, b"")


def test_nothing_answers(otelope):
    where = f"http://127.0.0.1:{free_port()}"
    for command in (["tree", ROOT], ["find"], ["tail"]):
        done = otelope(*command, "--store", where)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"nothing answers at {where}: start it with `otelope up`" in done.stderr


def test_a_directory_that_somebody_has_open(up, otelope):
    done = otelope("find", "--store", str(up.data))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"in use by another otelope (process {up.process.pid})" in done.stderr


def test_a_directory_that_is_none_of_ours_stays_as_it_is(otelope, tmp_path):
    done = otelope("find", "--store", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{tmp_path} is no data directory of otelope" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("store", "complaint"),
    [
        ("ftp://host/x", "is no store"),
        ("http://", "names no host"),
        ("http://127.0.0.1:99999", "Port out of range"),
        ("http://[bad", "Invalid IPv6 URL"),
        ("clickhouse://127.0.0.1:1/otelope", "The ClickHouse server at http://127.0.0.1:1"),
    ],
)
def test_stores_that_cannot_be(otelope, store, complaint):
    done = otelope("find", "--store", store)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def default_is_free():
    """Nothing listens where an `otelope up` would by default; else there is nothing to try."""
    try:
        socket.create_connection(("127.0.0.1", 4318), timeout=1).close()
    except OSError:
        return
    pytest.skip("something listens on 127.0.0.1:4318")


def test_without_a_daemon_the_default_directory_is_read(default_is_free, otelope, tmp_path):
    data = tmp_path / "data/otelope"
    with running_up(data) as up:
        up.send(export_request(walk(order())))
        up.stop()
    done = otelope("tree", ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("PlaceOrder")
    assert f"nothing answers at http://127.0.0.1:4318; reading {data} instead" in done.stderr


def test_without_both_it_says_what_to_start(default_is_free, otelope):
    done = otelope("tree", ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing answers at http://127.0.0.1:4318: start it with `otelope up`" in done.stderr


@pytest.mark.parametrize(
    ("status", "body", "complaint"),
    [
        (404, b"no", "what answers at {} is no `otelope up` (HTTP status 404)"),
        (200, b"{}", "what answers at {} is no `otelope up` (HTTP status 200)"),
        (503, b'{"error": "disk full"}', "`otelope up` at {} cannot answer: disk full"),
    ],
)
def test_something_else_answers(otelope, status, body, complaint):
    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        where = f"http://127.0.0.1:{server.server_port}"
        done = otelope("find", "--store", where)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint.format(where) in done.stderr


def test_something_that_speaks_no_http(up, otelope):
    done = otelope("find", "--store", f"http://{up.grpc}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "prints the address of its HTTP port when it starts" in done.stderr


def test_version(otelope):
    done = otelope("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("otelope ")


def test_no_command_is_an_error(otelope):
    done = otelope()
    assert done.returncode == 2
    assert "COMMAND" in done.stderr


def test_the_program_is_importable_without_the_server_half():
    """The base install has no chDB, no starlette: asking over HTTP must do without them."""
    code = (
        "import sys\n"
        "absent = 'chdb', 'clickhouse_connect', 'starlette', 'uvicorn'\n"
        "sys.modules.update(dict.fromkeys(absent))\n"
        "from otelope.cli import main\n"
        "sys.exit(main(['find', '--store', 'http://127.0.0.1:1']))\n"
    )
    done = subprocess.run(
        [*program()[:1], "-c", code], check=False, capture_output=True, text=True,
        env=environment(), timeout=60,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "nothing answers at http://127.0.0.1:1" in done.stderr
