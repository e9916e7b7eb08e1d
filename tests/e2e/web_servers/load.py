"""Clients that order in a shop, and remember which process said that it had been placed."""

from __future__ import annotations

import json
import threading
import time

from contextlib import closing
from http.client import HTTPConnection, HTTPException

from otelope.model.identity import new_id


CLIENTS = 4
# Then a connection is made anew, which another worker may take.
ORDERS_PER_CONNECTION = 20
# Seconds between an answer and the client's next order, so that the machine is not all theirs.
PAUSE = 0.01
ACCEPTED = 202


class Load:
    """
    Orders, all caused by the same envelope, from several clients at once while the block lasts.

    Args:
        port: The shop's, on loopback.
        cause: The id of that envelope.

    Attributes:
        answered: The ids of the orders that were placed, each with the process that said so.
    """

    def __init__(self, port: int, cause: str) -> None:
        self.answered: dict[str, int] = {}
        self._port = port
        self._cause = cause
        self._stopped = threading.Event()
        self._clients: list[threading.Thread] = []

    def __enter__(self) -> Load:  # noqa: PYI034 - typing has Self from Python 3.11 on
        self._stopped.clear()
        self._clients = [threading.Thread(target=self._order) for _ in range(CLIENTS)]
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for client in self._clients:
            client.join()

    @property
    def pids(self) -> set[int]:
        """The processes that have answered."""
        return set(self.answered.copy().values())

    def _order(self) -> None:
        while not self._stopped.is_set():
            try:
                with closing(HTTPConnection("127.0.0.1", self._port, timeout=20)) as connection:
                    for _ in range(ORDERS_PER_CONNECTION):
                        self._place(connection)
                        if self._stopped.wait(PAUSE):
                            break
            except (OSError, HTTPException):
                # Not up yet, or down already: no answer, so nothing that could get lost.
                self._stopped.wait(PAUSE)

    def _place(self, connection: HTTPConnection) -> None:
        order = {
            "id": new_id(self._cause),
            "timestamp": time.time_ns() // 1_000_000,
            "source": {"name": "web", "version": "1.0"},
            "parentId": self._cause,
            "type": "PlaceOrder",
            "payload": {"order": 7},
        }
        headers = {"content-type": "application/json"}
        connection.request("POST", "/orders", json.dumps(order), headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status == ACCEPTED:
            said = json.loads(body)
            self.answered[said["id"]] = said["pid"]
