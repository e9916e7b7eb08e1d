"""The JSON API: one route per question."""

from __future__ import annotations

import json

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otelope.model.envelope import milliseconds
from otelope.store import Store, StoreError, questions, trees
from otelope.store.contracts import contracts


_FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

Answer = tuple[int, str]


def routes(store: Store) -> list[Route]:
    """The routes, answering from a store."""
    return [
        _route("/api/tree/{name:path}", store, _tree),
        _route("/api/envelope/{id:path}", store, _envelope),
        _route("/api/spans/{trace_id}", store, _spans),
        _route("/api/find", store, _find),
        _route("/api/tail", store, _tail),
        _route("/api/processes", store, _processes),
        _route("/api/interactions", store, _interactions),
        _route("/api/contracts", store, _contracts),
        _route("/api/health", store, _health),
    ]


def _route(path: str, store: Store, answer: Callable[[Store, Request], Answer]) -> Route:
    def answered(request: Request) -> Answer:
        try:
            return answer(store, request)
        except ValueError as error:
            return 400, _json({"error": str(error)})
        except StoreError as error:
            return 503, _json({"error": str(error)})

    async def endpoint(request: Request) -> Response:
        status, text = await run_in_threadpool(answered, request)
        return Response(text.encode("utf-8", "replace"), status, media_type="application/json")

    return Route(path, endpoint, methods=["GET"])


def _tree(store: Store, request: Request) -> Answer:
    name = request.path_params["name"]
    found = questions.tree(store, name)
    if found is None:
        return 404, _json({"error": f"Nothing is known of {name!r}."})
    if isinstance(found, questions.Candidates):
        return 300, _json(found._asdict())
    if _flag(request, "flat"):
        return 200, _json(trees.flatten(found))
    return 200, "".join(trees.dump(found))


def _envelope(store: Store, request: Request) -> Answer:
    found = questions.envelope(store, request.path_params["id"])
    if found is None:
        return 404, _json({"error": f"Nothing is known of {request.path_params['id']!r}."})
    return 200, _json(found)


def _spans(store: Store, request: Request) -> Answer:
    return 200, _json(questions.spans(store, request.path_params["trace_id"]))


def _find(store: Store, request: Request) -> Answer:
    query = request.query_params
    found = questions.find(
        store,
        type=query.get("type", ""),
        source=query.get("source", ""),
        channel=query.get("channel", ""),
        since=_moment(request, "since"),
        until=_moment(request, "until"),
        failed=_flag(request, "failed"),
        stuck=bool(_flag(request, "stuck")),
        text=query.get("text", ""),
        limit=_number(request, "limit", 100),
    )
    return 200, _json(found)


def _tail(store: Store, request: Request) -> Answer:
    page = questions.tail(
        store,
        request.query_params.get("after"),
        limit=_number(request, "limit", 1000),
        last=_number(request, "last", 10),
    )
    return 200, _json(page._asdict())


def _processes(store: Store, _: Request) -> Answer:
    return 200, _json(questions.processes(store))


def _interactions(store: Store, request: Request) -> Answer:
    return 200, _json(questions.interactions(store, _moment(request, "since") or 0))


def _contracts(store: Store, request: Request) -> Answer:
    since = _moment(request, "since") or 0
    return 200, _json(contracts(store, since, request.query_params.get("type", "")))


def _health(store: Store, _: Request) -> Answer:
    return 200, _json({"status": "ok", "tables": questions.health(store)})


def _moment(request: Request, name: str) -> float | None:
    text = request.query_params.get(name, "")
    moment = milliseconds(text)
    if text and moment is None:
        raise ValueError(f"{name}={text!r} is neither Unix milliseconds nor RFC 3339.")
    return moment


def _flag(request: Request, name: str) -> bool | None:
    text = request.query_params.get(name, "").lower()
    if text and text not in _FLAGS:
        raise ValueError(f"{name}={text!r} is neither true nor false.")
    return _FLAGS.get(text)


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not text.isdecimal():
        raise ValueError(f"{name}={text!r} is no number.")
    return int(text)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
