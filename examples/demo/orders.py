"""The order service: takes orders over HTTP (FastAPI), tells of them over Kafka (aiokafka)."""

from __future__ import annotations

import json
import os

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from aiokafka import AIOKafkaProducer
from envelopes import envelope
from fastapi import FastAPI, HTTPException, Request


@asynccontextmanager
async def connected(app: FastAPI) -> AsyncIterator[None]:
    async with AIOKafkaProducer(bootstrap_servers=os.environ["KAFKA"]) as producer:
        app.state.producer = producer
        yield


app = FastAPI(title="orders", lifespan=connected)


@app.post("/orders", status_code=202)
async def place_order(command: dict[str, Any], request: Request) -> dict[str, str]:
    if command.get("type") != "PlaceOrder":
        raise HTTPException(422, "POST a PlaceOrder command")
    order = command["payload"]
    event = envelope("OrderPlaced", {**order, "status": "placed"}, cause=command)
    await request.app.state.producer.send_and_wait(
        "orders.events", json.dumps(event).encode(), key=order["orderId"].encode()
    )
    return {"orderId": order["orderId"]}


if __name__ == "__main__":
    uvicorn.run(
        app,
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "8000")),
    )
