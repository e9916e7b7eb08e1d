"""With OpenTelemetry's own instrumentation of a library beside ours: no span twice, same tree."""

from __future__ import annotations

import contextvars

from collections import Counter
from functools import partial

import pytest

from opentelemetry.instrumentation.utils import unwrap

from otelope import instrumentor
from otelope.core.guard import guard
from otelope.testing.chaining import TREE, Chaining
from otelope.testing.messages import CHAIN, new_channel
from otelope.testing.spans import Service, is_ours
from tests.contract.test_rows import cases


# Whose span of a library is the one of the sending, and in which styles whose of the handling.
LIBRARIES = {
    "aio_pika": (
        "aio_pika",
        "AioPikaInstrumentor",
        "create",
        ("aio_pika callback", "aio_pika callback process"),
    ),
    "aiokafka": ("aiokafka", "AIOKafkaInstrumentor", "create", ()),
    "confluent_kafka": ("confluent_kafka", "ConfluentKafkaInstrumentor", "create", ()),
    "aiokafka send_batch": ("aiokafka", "AIOKafkaInstrumentor", "send", ()),
    "kafka": ("kafka", "KafkaInstrumentor", "create", ()),
    "aiobotocore": ("botocore", "AiobotocoreInstrumentor", "create", ()),
    "botocore": ("botocore", "BotocoreInstrumentor", "create", ()),
    "botocore send": ("boto3sqs", "Boto3SQSInstrumentor", "create", ()),
    "celery": (
        "celery",
        "CeleryInstrumentor",
        "create",
        tuple(
            f"celery {how}{where}"
            for how in ("apply_async", "send_task")
            for where in ("", " redis_server")
        ),
    ),
    "pika": ("pika", "PikaInstrumentor", "create", ("pika callback", "pika consume")),
    # Spans of a database's client within ours; around ours where a pipeline is executed.
    "redis": ("redis", "RedisInstrumentor", "send", ()),
    **{
        f"{row} {client}pipeline": ("redis", "RedisInstrumentor", "create", ())
        for row in ("redis", "redis_streams")
        for client in ("", "asyncio ")
    },
    "starlette fastapi": (
        "fastapi",
        "FastAPIInstrumentor",
        "send",
        ("starlette fastapi", "starlette fastapi sync"),
    ),
}
# Of whose sendings contrib 0.66 sees nothing.
UNSEEN = ("confluent_kafka serializing",)
# What contrib 0.66 does not take away again.
LEFT_BEHIND = {
    "confluent_kafka": [
        ("AutoInstrumentedConsumer", "consume"),
        ("AutoInstrumentedConsumer", "close"),
    ]
}
BESIDE = [
    pytest.param(case, *LIBRARIES[max(names, key=len)], id=case.name, marks=case.marks)
    for case in cases()
    if (names := [name for name in LIBRARIES if case.name.startswith(name)])
]


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours first", "theirs first"])
@pytest.mark.parametrize(("case", "module", "name", "sends", "handled_by_theirs"), BESIDE)
def test_chain_is_the_same_tree_and_no_span_is_doubled(
    case, module, name, sends, handled_by_theirs, ours_first, request, monkeypatch
):
    contrib = getattr(pytest.importorskip(f"opentelemetry.instrumentation.{module}"), name)()
    driver = case.make(request)
    monkeypatch.setattr(guard, "strict", True)
    instrumentor.uninstrument()
    service = Service()

    def run(*switches):
        try:
            for switch_on, _ in switches:
                switch_on()
            # Contrib leaves spans of generators current: not in the next test's context.
            contextvars.Context().run(Chaining().chain, driver, new_channel())
        finally:
            # Last in, first out: contrib takes away whatever is outermost.
            for _, switch_off in reversed(switches):
                switch_off()
        return Counter(span.kind.name for span in service.all_spans() if not is_ours(span))

    def without_theirs():
        contrib.uninstrument()
        for owner, method in LEFT_BEHIND.get(module, ()):
            unwrap(f"opentelemetry.instrumentation.{module}.{owner}", method)

    theirs = (partial(contrib.instrument, tracer_provider=service.provider), without_theirs)
    alone = run(theirs)
    service.clear()
    driver.between = lambda: instrumentor.active() and service.forget()
    ours = (service.instrument, instrumentor.uninstrument)
    assert run(*((ours, theirs) if ours_first else (theirs, ours))) == alone
    assert service.shapes() == [TREE]
    # The one sending, the one handling of a message is theirs where they have one.
    handling = "INTERNAL" if case.name in handled_by_theirs else "CONSUMER"
    assert Counter((span.name.split()[0], span.kind.name) for span in service.spans()) == {
        (sends, "PRODUCER"): len(CHAIN),
        ("process", handling): len(CHAIN),
    }
    # For most calls of AWS they make a client's span.
    seen = sends == "create" and not case.name.startswith(UNSEEN)
    assert alone["PRODUCER"] + alone["CLIENT"] >= (len(CHAIN) if seen else 0)
    if handling == "INTERNAL":
        # More than one for each message with contrib 0.62 beside pika 1.2.
        assert alone["CONSUMER"] + alone["SERVER"] >= len(CHAIN)
