"""With OpenTelemetry's own instrumentation of a library beside ours: no span twice, same tree."""

from __future__ import annotations

import contextvars

from collections import Counter
from functools import partial
from importlib.util import find_spec

import pytest

from opentelemetry import trace
from opentelemetry.instrumentation.utils import unwrap

from otelope import instrumentor
from otelope.core.guard import guard
from otelope.testing.chaining import TREE, Chaining
from otelope.testing.messages import CHAIN, new_channel
from otelope.testing.spans import Service, is_ours
from tests.contract.test_rows import cases


# What follows OpenTelemetry's own provider: contrib's of Pyramid, which takes no other, and
# FastAPI's own tracing.
FOLLOWING = "following"
pytestmark = pytest.mark.filterwarnings(
    # Contrib's instrumentor of aiohttp's server makes one.
    "ignore:Inheritance class .* from web.Application is discouraged:DeprecationWarning",
)

# Of each framework a style in which the most happens, with contrib's instrumentation of it.
_SERVERS = {
    "aiohttp_server generator": "aiohttp_server:AioHttpServerInstrumentor",
    "bottle generator": "wsgi:OpenTelemetryMiddleware",
    "django generator": "django:DjangoInstrumentor",
    "django ASGI generator": "django:DjangoInstrumentor",
    "falcon generator": "falcon:FalconInstrumentor",
    "falcon ASGI body": "asgi:OpenTelemetryMiddleware",
    "flask generator": "flask:FlaskInstrumentor",
    "litestar body": "litestar:OpenTelemetryConfig",
    "pyramid generator": f"{FOLLOWING} pyramid:PyramidInstrumentor",
    "quart data": "asgi:OpenTelemetryMiddleware",
    "starlette mounted": "starlette:StarletteInstrumentor",
    "tornado flush": "tornado:TornadoInstrumentor",
    "tornado parts": "tornado:TornadoInstrumentor",
}
# Of each client, with FastAPI and contrib's instrumentation of that.
_CLIENTS = {
    "aiohttp data": "aiohttp_client:AioHttpClientInstrumentor",
    "httpx sync": "httpx:HTTPXClientInstrumentor",
    "httpx async": "httpx:HTTPXClientInstrumentor",
    "urllib urlopen": "urllib:URLLibInstrumentor",
    "urllib3 pool": "urllib3:URLLib3Instrumentor",
    "urllib3 requests": "requests:RequestsInstrumentor",
}
# Contrib's instrumentors of a library, whose span is the one of the sending, and in which styles
# whose is the one of the handling.
LIBRARIES = {
    "aio_pika": (
        "aio_pika:AioPikaInstrumentor",
        "create",
        ("aio_pika callback", "aio_pika callback process"),
    ),
    "aiokafka": ("aiokafka:AIOKafkaInstrumentor", "create", ()),
    "confluent_kafka": ("confluent_kafka:ConfluentKafkaInstrumentor", "create", ()),
    "aiokafka send_batch": ("aiokafka:AIOKafkaInstrumentor", "send", ()),
    "kafka": ("kafka:KafkaInstrumentor", "create", ()),
    "aiobotocore": ("botocore:AiobotocoreInstrumentor", "create", ()),
    "botocore": ("botocore:BotocoreInstrumentor", "create", ()),
    "botocore send": ("boto3sqs:Boto3SQSInstrumentor", "create", ()),
    "celery": (
        "celery:CeleryInstrumentor",
        "create",
        tuple(
            f"celery {how}{where}"
            for how in ("apply_async", "send_task")
            for where in ("", " redis_server")
        ),
    ),
    "pika": ("pika:PikaInstrumentor", "create", ("pika callback", "pika consume")),
    # Spans of a database's client within ours; around ours where a pipeline is executed.
    "redis": ("redis:RedisInstrumentor", "send", ()),
    **{
        f"{row} {client}pipeline": ("redis:RedisInstrumentor", "create", ())
        for row in ("redis", "redis_streams")
        for client in ("", "asyncio ")
    },
    **{
        style: (f"httpx:HTTPXClientInstrumentor {server}", "create", (style,))
        for style, server in _SERVERS.items()
    },
    **{
        style: (f"{client} fastapi:FastAPIInstrumentor", "create", (style,))
        for style, client in _CLIENTS.items()
    },
    # Of which contrib has none.
    "sanic body": ("httpx:HTTPXClientInstrumentor", "create", ()),
    "sanic read": ("httpx:HTTPXClientInstrumentor", "create", ()),
    "starlette fastapi": (
        "fastapi:FastAPIInstrumentor",
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
# aiohttp 3.8 fails by itself to say a request's url, with the yarl of today.
FAILING = {"aiohttp_server generator"}
ITSELF = pytest.mark.skipif(
    find_spec("fastapi.telemetry") is None,
    reason="not applicable: this FastAPI has no tracing of its own",
)
CASES = {case.name: case for case in cases()}
BESIDE = [
    pytest.param(
        case,
        *LIBRARIES[max(names, key=len)],
        id=case.name,
        # No other style of these is tried: "again" would leave them out with --brief.
        marks=() if case.name in {*_SERVERS, *_CLIENTS} - FAILING else case.marks,
    )
    for case in CASES.values()
    if (names := [name for name in LIBRARIES if case.name.startswith(name)])
]
FASTAPI = CASES["starlette fastapi"]
BESIDE.append(
    pytest.param(FASTAPI, FOLLOWING, "send", (FASTAPI.name,), id="fastapi itself", marks=ITSELF)
)


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours first", "theirs first"])
@pytest.mark.parametrize(("case", "instrumentations", "sends", "handled_by_theirs"), BESIDE)
def test_chain_is_the_same_tree_and_no_span_is_doubled(
    case, instrumentations, sends, handled_by_theirs, ours_first, request, monkeypatch
):
    driver = case.make(request)
    if "httpx:" in instrumentations:
        # Contrib 0.62 to 0.66 fails where a transport is given its request by name.
        driver.send = partial(driver.send, positional=True)
    monkeypatch.setattr(guard, "strict", True)
    instrumentor.uninstrument()
    service = Service()
    theirs = [switches(each, driver, service.provider) for each in instrumentations.split()]

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

    alone = run(*theirs)
    service.clear()
    driver.between = lambda: instrumentor.active() and service.forget()
    ours = (service.instrument, instrumentor.uninstrument)
    assert run(*((ours, *theirs) if ours_first else (*theirs, ours))) == alone
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


def switches(instrumentation, driver, provider):
    """How another instrumentation is switched on, and off again."""
    module, _, name = instrumentation.partition(":")
    if instrumentation == FOLLOWING:
        return _exchanged(trace, "_TRACER_PROVIDER", provider)
    if module == "litestar":
        return _exchanged(driver, "application", _with_its_own(driver.application, provider))
    theirs = getattr(pytest.importorskip(f"opentelemetry.instrumentation.{module}"), name)
    if name == "OpenTelemetryMiddleware":
        return _exchanged(driver, "application", _within(theirs, driver.application, provider))
    contrib = theirs()

    def off():
        contrib.uninstrument()
        for owner, method in LEFT_BEHIND.get(module, ()):
            unwrap(f"opentelemetry.instrumentation.{module}.{owner}", method)

    return partial(contrib.instrument, tracer_provider=provider), off


def _exchanged(owner, name, value):
    before = getattr(owner, name)
    return partial(setattr, owner, name, value), partial(setattr, owner, name, before)


def _within(middleware, application, provider):
    return lambda *day: middleware(application(*day), tracer_provider=provider)


def _with_its_own(application, provider):
    """Litestar's middleware, which is made of contrib's."""
    try:
        from litestar.plugins.opentelemetry import OpenTelemetryConfig
    except ImportError:  # before Litestar 2.22
        from litestar.contrib.opentelemetry import OpenTelemetryConfig
    middleware = OpenTelemetryConfig(tracer_provider=provider).middleware
    return lambda *day: application(*day, middleware=[middleware])
