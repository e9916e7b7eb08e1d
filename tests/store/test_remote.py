"""A ClickHouse server over HTTP: who is asked, and what is said when it does not answer."""

from __future__ import annotations

import socket

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import pytest

from examples.running.ports import free_port
from otelope.model.identity import new_id
from otelope.store import CannotOpenError, Server, StoreError, open_store, questions
from otelope.store.remote import RemoteEngine
from otelope.store.server import Host
from tests.certificates import make_certificate
from tests.e2e.servers.clickhouse import clickhouse
from tests.store.made import envelope_record, keep, make_tables


PORTS = "its HTTP interface listens on port 8123, with TLS (https://) on 8443"


def of(*servers, **more):
    """One `Server` for all of these."""
    return Server(tuple(Host("127.0.0.1", server.port) for server in servers), **more)


@contextmanager
def answering(reply: bytes) -> Iterator[int]:
    """A port where every connection gets this, and is closed."""

    def serve():
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(10)
                with connection, suppress(OSError):
                    connection.recv(65_536)
                    connection.sendall(reply)
                    connection.shutdown(socket.SHUT_WR)
                    # Closed with something unread, it would be reset, and the answer lost.
                    while connection.recv(65_536):
                        pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def refusal(code: int, text: str) -> bytes:
    """What a ClickHouse server would answer; its words are those of 26.3."""
    body = f"Code: {code}. DB::Exception: {text}\n".encode()
    head = f"HTTP/1.1 500 X\r\nX-ClickHouse-Exception-Code: {code}\r\nContent-Length: {len(body)}"
    return f"{head}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.fixture
def pair(tmp_path):
    """Two servers with the same tables; each knows an envelope of its own."""
    with clickhouse(tmp_path / "one") as one, clickhouse(tmp_path / "two") as two:
        for name, server in (("one", one), ("two", two)):
            make_tables(of(server))
            with open_store(of(server)) as store:
                keep(store, envelope_record(f"in {name}"))
        yield one, two


def found(store):
    return [each["id"] for each in questions.find(store)]


def test_where_the_first_is_down_the_next_is_asked(pair):
    one, two = pair
    one.stop()

    with open_store(of(one, two)) as store:
        assert found(store) == ["in two"]


def test_one_that_dies_in_between_is_replaced_by_the_next(pair):
    one, two = pair
    with open_store(of(one, two)) as store:
        assert found(store) == ["in one"]
        one.kill()

        assert found(store) == ["in two"]
        keep(store, envelope_record("kept"), token="a block")

        one.start()
        assert set(found(store)) == {"in two", "kept"}
        two.kill()
        assert found(store) == ["in one"]


def test_one_that_does_not_answer_is_asked_last_from_then_on(pair):
    one, two = pair
    with open_store(of(one, two, timeout=0.5)) as store:
        one.suspend()
        with pytest.raises(StoreError, match=r"no answer within 0.5 s; wait longer"):
            found(store)

        assert found(store) == ["in two"]


def test_a_server_that_comes_back_is_spoken_to_again(pair):
    one, _ = pair
    with open_store(of(one)) as store:
        one.kill()
        with pytest.raises(StoreError, match=r"no connection \(Connection refused\): see that"):
            keep(store, envelope_record("kept"), token="a block")
        one.start()
        keep(store, envelope_record("kept"), token="a block")
        keep(store, envelope_record("kept"), token="a block")

        assert set(found(store)) == {"in one", "kept"}
        assert questions.health(store)["otel_logs"]["rows"] == 2


def test_of_several_that_fail_each_is_named(tmp_path):
    nobody = free_port()
    with answering(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n") as port:
        server = Server((Host("127.0.0.1", nobody), Host("127.0.0.1", port)))
        with pytest.raises(CannotOpenError) as caught:
            open_store(server)

    assert f"127.0.0.1:{nobody}: no connection (Connection refused): see that" in str(caught.value)
    assert f"127.0.0.1:{port}: the connection broke (SSH-2.0-OpenSSH_9.2p1" in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        (b"", f"the connection broke (Remote end closed connection without response): {PORTS}"),
        (b"HTTP/1.0 400 Bad Request\r\n\r\nPort 9000 is for clickhouse-client program",
         f"is not ClickHouse (status 400): {PORTS}"),
        (b"HTTP/1.0 200 OK\r\n\r\n<html>hello</html>",
         f"is not ClickHouse ('<html>hello</html>'): {PORTS}"),
        (b"HTTP/1.0 302 Found\r\nLocation: http://elsewhere/\r\n\r\n",
         "is not ClickHouse (status 302)"),
        (refusal(164, "Cannot modify 'max_execution_time' setting in readonly mode. (READONLY)"),
         "the profile of 'me' must have `readonly` 2 for who asks, 0 for who writes (Code: 164"),
        (refusal(497, "me: Not enough privileges. To execute this query, it's necessary to have "
                      "the grant SELECT ON otelope.envelopes. (ACCESS_DENIED)"),
         "'me' may not do that; grant it, or name another user (Code: 497. DB::Exception: me: N"),
        (refusal(159, "Timeout exceeded: elapsed 30.0 seconds. (TIMEOUT_EXCEEDED)"),
         "no answer within 30 s; wait longer with --clickhouse-timeout"),
        (refusal(241, "Memory limit (total) exceeded. (MEMORY_LIMIT_EXCEEDED)"),
         "Code: 241. DB::Exception: Memory limit (total) exceeded. (MEMORY_LIMIT_EXCEEDED)"),
        (refusal(192, "There is no user `me`. (UNKNOWN_USER)"), "does not let 'me' in: user or"),
        (refusal(60, "Unknown table. (UNKNOWN_TABLE)"), "make them with `otelope schema apply`"),
    ],
)  # fmt: skip
def test_what_is_refused_is_told_with_what_to_do(reply, complaint):
    with answering(reply) as port, pytest.raises(CannotOpenError) as caught:
        RemoteEngine(Server((Host("127.0.0.1", port),), user="me", password="secret"))

    assert complaint in str(caught.value)
    assert f"http://127.0.0.1:{port}" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_host_that_has_no_address():
    with pytest.raises(CannotOpenError, match=r"http://no\.such\.host\.invalid:8123/.*not known"):
        open_store("http://no.such.host.invalid")


@pytest.mark.parametrize("field", ["user", "password"])
def test_a_line_break_in_what_goes_into_a_header(field):
    with pytest.raises(CannotOpenError, match=r"user or the password .* holds a line break"):
        open_store(Server((Host("127.0.0.1", 1),), **{field: "a\nb"}))


@pytest.fixture
def secured(tmp_path):
    """A server with a certificate of an authority that this machine does not know."""
    authority = make_certificate(tmp_path, "ca")
    for name in ("server", "client"):
        make_certificate(tmp_path, name, authority)
    make_certificate(tmp_path, "other")
    keys = ("--certificate", tmp_path / "server.pem", tmp_path / "server.key")
    trusted = ("--trusted", tmp_path / "ca.pem")
    with clickhouse(tmp_path / "server", *keys, *trusted, secure=True) as server:
        yield server


def test_tls_on_both_sides(secured, tmp_path):
    files = {
        "ca_file": str(tmp_path / "ca.pem"),
        "cert_file": str(tmp_path / "client.pem"),
        "key_file": str(tmp_path / "client.key"),
    }
    make_tables(of(secured, secure=True, **files))
    with open_store(of(secured, secure=True, **files)) as store:
        keep(store, envelope_record(new_id()))
        assert len(found(store)) == 1


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({}, "TLS failed ([SSL: CERTIFICATE_VERIFY_FAILED]"),
        ({"ca_file": "other.pem"}, "TLS failed ([SSL: CERTIFICATE_VERIFY_FAILED]"),
        ({"ca_file": "server.key"}, "TLS failed ("),
        ({"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "other.key"}, "MISMATCH"),
        ({"ca_file": "missing.pem"}, "missing.pem to read certificates from"),
    ],
)
def test_tls_that_fails_says_which_option_is_for_it(secured, tmp_path, files, complaint):
    paths = {name: str(tmp_path / file) for name, file in files.items()}
    with pytest.raises(CannotOpenError) as caught:
        open_store(of(secured, secure=True, **paths))

    assert complaint in str(caught.value)
    assert "--clickhouse-ca-file" in str(caught.value) or "missing" in complaint


def test_a_server_that_wants_to_know_who_asks(secured, tmp_path):
    # With TLS 1.3 it says so after the handshake, if its word arrives before it hangs up.
    with pytest.raises(CannotOpenError, match=r"TLS failed|the connection broke"):
        open_store(of(secured, secure=True, ca_file=str(tmp_path / "ca.pem")))


def test_http_where_tls_is_spoken_and_the_other_way_round(secured, clickhouse_server):
    with pytest.raises(CannotOpenError, match=r"the connection broke .* with TLS \(https://\)"):
        open_store(of(secured))
    with pytest.raises(CannotOpenError, match=r"TLS failed .* whether it is an https:// address"):
        open_store(of(clickhouse_server, secure=True))


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://host", Server((Host("host", 8123),))),
        ("https://host/", Server((Host("host", 8443),), secure=True)),
        ("http://[::1]:9000/db", Server((Host("::1", 9000),), database="db")),
        ("http://one,two:1,[fe80::1]", Server((Host("one", 8123), Host("two", 1),
                                               Host("fe80::1", 8123)))),
        ("http://me:a%40%3Ab%2F@host/d%20b?timeout=5&ca_file=/x", Server(
            (Host("host", 8123),), user="me", password="a@:b/", database="d b", timeout=5.0,
            ca_file="/x")),
        ("http://me@host", Server((Host("host", 8123),), user="me")),
    ],
)  # fmt: skip
def test_urls_of_servers(url, server):
    assert Server.from_url(url) == server


@pytest.mark.parametrize(
    "url",
    ["host:8123", "ftp://me:hush@host", "http://", "http://me:hush@", "http://host:99999",
     "http://host,", "http://host?passwd=hush", "http://host?timeout=soon", "http://[::1"],
)  # fmt: skip
def test_what_is_no_url_of_a_server(url):
    with pytest.raises(CannotOpenError, match=r"write http://user:password@host:8123/database"):
        Server.from_url(url)
    with pytest.raises(CannotOpenError) as caught:
        Server.from_url(url)
    assert "hush" not in str(caught.value)


def test_a_server_does_not_show_its_password():
    assert "hush" not in repr(Server.from_url("http://me:hush@host"))
