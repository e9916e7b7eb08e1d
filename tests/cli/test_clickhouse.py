"""Every command against a ClickHouse server with user and password, and what stands in the way."""

from __future__ import annotations

import json
import subprocess
import time

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from examples.running.ports import free_port
from otelope.collector.otlp import log_rows
from otelope.store import Server, open_store
from otelope.store.questions import tail
from tests.certificates import make_certificate
from tests.cli.conftest import Lines, Program, environment, program
from tests.cli.story import export_request, order, process_request, walk
from tests.e2e.servers.clickhouse import ClickHouse, clickhouse
from tests.store.made import envelope_record, keep, make_tables


USER, PASSWORD = "reader", "s é:c@r/e%t"
ROOT = order()["id"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory) -> Iterator[ClickHouse]:
    """A server that holds the tree of `story.order`, behind a password; read only, for all."""
    directory = tmp_path_factory.mktemp("guarded")
    with clickhouse(directory, user=USER, password=PASSWORD) as server:
        make_tables(Server.from_url(server.url))
        with open_store(server.url) as store:
            for request in (export_request(walk(order())), recent_process()):
                rows = log_rows(ExportLogsServiceRequest.FromString(request))
                store.ingest(rows.table, rows.data, "")
            # What was stored a moment ago may yet be preceded by something.
            while not any(item["type"] == "PaymentCaptured" for item in tail(store).items):
                time.sleep(0.05)
        yield server


def recent_process() -> bytes:
    return process_request("orders", "1.0", 4711, time.time() * 1e3, {"counters": {"seen": 5}})


def as_options(server: ClickHouse) -> tuple[list[str], dict[str, str]]:
    who = ["--clickhouse-user", USER, "--clickhouse-password", PASSWORD]
    return ["--clickhouse", server.where, *who], {}


def as_variables(server: ClickHouse) -> tuple[list[str], dict[str, str]]:
    who = {"OTELOPE_CLICKHOUSE_USER": USER, "OTELOPE_CLICKHOUSE_PASSWORD": PASSWORD}
    return [], {"OTELOPE_CLICKHOUSE": server.where, **who}


def in_the_url(server: ClickHouse) -> tuple[list[str], dict[str, str]]:
    return ["--clickhouse", server.url], {}


def as_a_store(server: ClickHouse) -> tuple[list[str], dict[str, str]]:
    return [], {"OTELOPE_STORE": server.url.replace("http:", "clickhouse:") + "/otelope"}


WAYS = [as_options, as_variables, in_the_url, as_a_store]
COMMANDS = {
    "tree": (["tree", ROOT], "PlaceOrder  command  shop 3.2"),
    "find": (["find", "--type", "PlaceOrder"], ROOT),
    "tail": (["tail", "--once"], "PaymentCaptured"),
    "contracts": (["contracts", "--since", "100000d"], "OrderPlaced"),
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_asks_the_server(guarded, otelope, command, way):
    arguments, expected = COMMANDS[command]
    options, variables = way(guarded)
    done = otelope(*arguments, *options, **variables)
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_doctor_asks_the_server(guarded, otelope, way):
    options, variables = way(guarded)
    done = otelope("doctor", "--json", *options, **variables)
    (process,) = json.loads(done.stdout)["processes"]
    assert process["subject"] == "orders 1.0 (pid 4711)"


def test_stitch_asks_the_server(guarded, otelope, up):
    _, variables = as_variables(guarded)
    done = otelope("stitch", ROOT, "--to", f"http://{up.grpc}", **variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert ", 16 spans, is at http://" in done.stdout


def test_tail_follows_what_others_store(guarded):
    options, variables = as_options(guarded)
    follower = subprocess.Popen(
        program("tail", "--last", "1", *options), env=environment(**variables), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        lines = Lines(follower.stdout)
        lines.next()
        with open_store(guarded.url) as store:
            keep(store, envelope_record("stored-meanwhile"))
        while "stored-meanwhile" not in lines.next():
            pass
    finally:
        follower.kill()
        follower.wait()


REFUSED = f"does not let '{USER}' in: user or password is wrong. Give them by --clickhouse-user"


@pytest.mark.parametrize(
    ("option", "in_url", "variable", "let_in"),
    [
        (PASSWORD, "wrong", "wrong", True),
        ("wrong", PASSWORD, PASSWORD, False),
        ("", PASSWORD, "wrong", True),
        ("", "wrong", PASSWORD, False),
        ("", "", PASSWORD, True),
        ("", "", "", False),
    ],
)
def test_an_option_counts_more_than_the_url_and_that_more_than_a_variable(
    guarded, otelope, option, in_url, variable, let_in
):
    url = guarded.where.replace("://", f"://{USER}:{quote(in_url, safe='')}@")
    done = otelope(
        "find", "--clickhouse", url, *(["--clickhouse-password", option] if option else []),
        OTELOPE_CLICKHOUSE_PASSWORD=variable,
    )  # fmt: skip
    assert (done.returncode == 0) == let_in
    assert (REFUSED in done.stderr) != let_in
    assert "Traceback" not in done.stderr


def complaint(otelope: Program, *options: str, **variables: str) -> str:
    """What a question that nobody answers complains of; every way of asking does the same."""
    done = otelope("find", *options, **variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert PASSWORD not in done.stderr
    return done.stderr


def test_who_is_not_known(guarded, otelope):
    said = complaint(otelope, "--clickhouse", guarded.where, "--clickhouse-user", "nobody")
    assert f"server at {guarded.where}/otelope does not let 'nobody' in" in said
    said = complaint(otelope, "--clickhouse", guarded.where)
    assert "does not let 'default' in: user or password is wrong" in said


def test_a_database_that_is_missing_or_has_other_tables(guarded, otelope):
    for database in ("missing", "default"):
        said = complaint(otelope, "--clickhouse", guarded.url, "--clickhouse-database", database)
        assert f"no tables of otelope at {guarded.where}/{database}: make them with" in said
        assert "or name the right database with --clickhouse-database" in said


def test_a_server_that_is_too_old(tmp_path, otelope):
    up = ("up", "--grpc-port", "0", "--http-port", "0")
    with clickhouse(tmp_path / "old", "--version", "25.8.1.1") as server:
        for arguments in (("find",), ("schema", "apply"), up):
            done = otelope(*arguments, "--clickhouse", server.url)
            assert done.returncode == (1 if arguments is up else 2)
            assert "is 25.8.1.1: otelope needs 26.3 or newer" in done.stderr


def test_nobody_is_there(otelope):
    said = complaint(otelope, "--clickhouse", f"http://127.0.0.1:{free_port()}")
    assert "cannot be used: no connection (Connection refused): see that it runs; its HTTP" in said
    said = complaint(otelope, "--clickhouse", "http://no.such.host.invalid")
    assert "its name is not known" in said


def test_something_else_is_there(up, otelope):
    said = complaint(otelope, "--clickhouse", up.url)
    assert f"what answers at {up.url}/ is not ClickHouse (status 405): its HTTP interface" in said
    said = complaint(otelope, "--clickhouse", f"http://{up.grpc}")
    assert "the connection broke" in said
    assert "listens on port 8123" in said


def test_it_does_not_answer(clickhouse_server, otelope):
    make_tables(Server.from_url(clickhouse_server.url))
    clickhouse_server.suspend()
    said = complaint(
        otelope, "--clickhouse", clickhouse_server.url, OTELOPE_CLICKHOUSE_TIMEOUT="0.5"
    )
    assert "no answer within 0.5 s; wait longer with --clickhouse-timeout" in said


def test_the_first_of_several_is_down(guarded, otelope):
    options, variables = as_variables(guarded)
    variables["OTELOPE_CLICKHOUSE"] = f"http://127.0.0.1:{free_port()},{guarded.address}"
    done = otelope("tree", ROOT, *options, **variables)
    assert (done.returncode, done.stderr) == (0, "")


def test_tls_with_an_authority_of_ones_own(tmp_path, otelope):
    make_certificate(tmp_path, "server", make_certificate(tmp_path, "ca"))
    keys = ("--certificate", tmp_path / "server.pem", tmp_path / "server.key")
    with clickhouse(tmp_path / "server", *keys, secure=True) as server:
        trusting = ("--clickhouse", server.url, "--clickhouse-ca-file", str(tmp_path / "ca.pem"))
        assert otelope("schema", "apply", *trusting).returncode == 0
        assert otelope("find", *trusting).returncode == 1  # there is none

        said = complaint(otelope, "--clickhouse", server.url)
        assert "CERTIFICATE_VERIFY_FAILED" in said
        assert "--clickhouse-ca-file names whom to trust" in said
        said = complaint(otelope, "--clickhouse", server.url, "--clickhouse-ca-file", "/no/file")
        assert "There is no file /no/file to read certificates from" in said


def test_what_makes_no_sense_is_refused(otelope):
    at = ("--clickhouse", "http://127.0.0.1:1")
    assert "name two to ask: leave one out" in complaint(otelope, *at, "--store", "x")
    assert "'soon' is no number of seconds" in complaint(otelope, *at, "--clickhouse-timeout=soon")
    assert "name it with --clickhouse URL" in complaint(otelope, "--clickhouse-user", "me")
    assert "write http://user:password@host:8123" in complaint(otelope, "--clickhouse", "host")
    assert "line break" in complaint(otelope, *at, OTELOPE_CLICKHOUSE_PASSWORD="a\nb")


@pytest.mark.parametrize("way", [in_the_url, as_a_store], ids=lambda way: way.__name__)
def test_doctor_says_who_cannot_be_asked_and_shows_no_password(guarded, otelope, way):
    options, variables = way(guarded)
    options, variables = (
        [each.replace(USER, "hush") for each in options],
        {name: each.replace(USER, "hush") for name, each in variables.items()},
    )
    done = otelope("doctor", "--json", *options, **variables)
    (found,) = json.loads(done.stdout)["processes"]
    assert (found["level"], found["text"]) == ("attention", "cannot be asked")
    assert guarded.address in found["subject"]
    assert "does not let 'hush' in" in found["advice"]
    assert quote(PASSWORD, safe="") not in done.stdout
    assert "hush" not in found["subject"]


def test_no_complaint_about_an_address_shows_its_password(otelope):
    for store in ("clickhous://me:hush@host", "clickhouse://me:hush@[bad", "postgres://me:hush@h"):
        assert "hush" not in complaint(otelope, "--store", store)
