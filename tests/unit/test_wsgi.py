"""WSGI applications under servers that give them no more than PEP 3333 asks for."""

from __future__ import annotations

import io

import flask
import pytest

from otelope.testing.messages import make
from tests.service import told


class Input:
    """What a request's body is read from, as uWSGI has it."""

    def __init__(self, body: bytes) -> None:
        self._file = io.BytesIO(body)
        self.read = self._file.read
        self.readline = self._file.readline
        self.readlines = self._file.readlines

    def __iter__(self):
        return iter(self._file)


class FileInput(Input):
    """As most servers have it: a file."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.readinto = self._file.readinto


class FileWrapper:
    """As most servers have it: a class."""

    def __init__(self, file, size=8192) -> None:
        self.file = file

    def __iter__(self):
        return iter(self.file)


def file_wrapper(file, size=8192):
    """As uWSGI has it: a function."""
    return file


WRAPPERS = [FileWrapper, file_wrapper, None]


def environ(body, wrapper=None, source=Input):
    own = {} if wrapper is None else {"wsgi.file_wrapper": wrapper}
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/orders",
        "SERVER_NAME": "shop",
        "SERVER_PORT": "80",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": source(body),
        **own,
    }


def application(answer):
    made = flask.Flask(__name__)
    made.add_url_rule("/orders", view_func=answer, methods=["POST"])
    return made


@pytest.mark.parametrize("source", [Input, FileInput])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_the_body_is_read_as_the_server_lets_it(service, wrapper, source):
    sent = make()
    seen = []

    def place():
        seen.append(flask.request.get_data())
        return "placed"

    answer = application(place)(environ(sent.body, wrapper, source), lambda *_: None)
    assert b"".join(answer) == b"placed"
    answer.close()
    assert seen == [sent.body]
    assert told(service) == [(sent.id, "ok", None)]


@pytest.mark.parametrize("wrapper", WRAPPERS[:2])
def test_a_file_is_the_servers_to_send(service, wrapper):
    sent, file = make(), io.BytesIO(b"a file")
    given = []

    def place():
        flask.request.get_data()
        given.append(flask.request.environ["wsgi.file_wrapper"](file))
        return flask.Response(given[0], direct_passthrough=True)

    answer = application(place)(environ(sent.body, wrapper), lambda *_: None)
    assert answer is given[0]
    assert told(service) == [(sent.id, "ok", None)]


def test_a_stream_is_no_file_though_the_server_sends_files_by_a_function(service):
    sent = make()

    def place():
        flask.request.get_data()
        return flask.Response(iter(["one ", "two"]))

    answer = application(place)(environ(sent.body, file_wrapper), lambda *_: None)
    assert told(service) == []
    assert b"".join(answer) == b"one two"
    answer.close()
    assert told(service) == [(sent.id, "ok", None)]
