"""Import, instrument, uninstrument: every order, each in a process of its own."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap

from importlib.metadata import entry_points
from pathlib import Path

import pytest

from packaging.version import Version

from otelope import instrumentor
from otelope.adapters.table import TABLE, Row


# The standard library's are there already.
LIBRARIES = sorted({row.package for row in TABLE if row.requires})
SOURCE = str(Path(__file__).parents[2] / "src")

PREPARE = """
    import collections, importlib, importlib.util, inspect, sys
    import otelope
    from otelope.adapters.table import TABLE

    records = []

    def load():
        for row in TABLE:
            importlib.import_module(row.imports)

    def instrument():
        otelope.instrument(recorder=records.append)

    def uninstrument():
        otelope.uninstrument()

    def places(parts=False):
        from otelope.core.patching import locate
        for row in TABLE:
            for site in sites_of(importlib.import_module(row.module).ADAPTER, parts):
                owner, name, _ = locate(site.target)
                yield site.target, inspect.getattr_static(owner, name), owner

    def sites_of(adapter, parts):
        for system in adapter.systems:
            yield from system.sites
        for module, part in adapter.parts if parts else ():
            if importlib.util.find_spec(module):
                yield from sites_of(part, parts)

    def wrapped(parts):
        from otelope.core.patching import Wrapped
        return {target: isinstance(method, Wrapped) for target, method, _ in places(parts)}

    def depth(method):
        found = 0
        from otelope.core.patching import Wrapped
        while isinstance(method, Wrapped):
            method, found = method.__wrapped__, found + 1
        return found

    def depths():
        return {target: depth(method) for target, method, _ in places()}

    def sites():
        # A request is sent and answered by one function: two sites.
        return dict(collections.Counter(target for target, _, _ in places()))
"""


def run(script: str, **environment: str) -> str:
    """Run a script in a new interpreter; what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:otelope", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": SOURCE, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def script(*parts: str) -> str:
    return "".join(textwrap.dedent(part) for part in (PREPARE, *parts))


STEPS = ("load", "instrument", "uninstrument")
# Each begins with shorter ones, which are looked at on the way.
ORDERS = [
    order
    for order in itertools.product(STEPS, repeat=4)
    if order.count("load") == 1 and all(a != b for a, b in itertools.pairwise(order))
]


def test_importing_and_instrumenting_load_no_library():
    printed = run(
        script(f"""
        instrument()
        print([name for name in {LIBRARIES!r} if name in sys.modules])
        print([name for name in sys.modules if name.startswith("otelope.") and any(
            part in name for part in ("adapters.brokers", "adapters.web", "codecs", "export"))])
        print("wrapt" in sys.modules)
        """)
    )
    assert printed.split("\n")[:2] == ["[]", "[]"]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_wrappers_stand_exactly_while_instrumented(order):
    printed = run(
        script(f"""
        loaded = instrumented = False
        for step in {order!r}:
            globals()[step]()
            loaded = loaded or step == "load"
            if step != "load":
                instrumented = step == "instrument"
            if loaded:
                # Parts may have imported, by its name, what was wrapped then and is at rest now.
                found = wrapped(parts=instrumented)
                assert set(found.values()) == {{instrumented}}, found
                assert depths() == (sites() if instrumented else dict.fromkeys(sites(), 0))
                print(step)
        """)
    )
    assert printed.split() == list(order[order.index("load") :])


def test_originals_are_back_after_any_number_of_rounds():
    run(
        script("""
        load()
        before = {target: (method, owner) for target, method, owner in places()}
        for _ in range(3):
            instrument()
            instrument()
            assert depths() == sites()
            uninstrument()
            uninstrument()
            for target, method, owner in places():
                assert method is before[target][0], target
                assert owner is before[target][1], target
        """)
    )


def test_classes_written_in_c_are_their_own_again():
    run(
        script("""
        import confluent_kafka, confluent_kafka.cimpl as cimpl
        producer, consumer = confluent_kafka.Producer, confluent_kafka.Consumer
        instrument()
        assert confluent_kafka.Producer is cimpl.Producer is not producer
        assert issubclass(confluent_kafka.Producer, producer)
        assert confluent_kafka.Producer.__name__ == "Producer"
        assert confluent_kafka.Producer.__module__ == producer.__module__
        uninstrument()
        assert confluent_kafka.Producer is cimpl.Producer is producer
        assert confluent_kafka.Consumer is cimpl.Consumer is consumer
        assert "produce" in producer.__dict__
        """)
    )


def test_serializing_clients_stand_on_what_is_instrumented():
    run(
        script("""
        instrument()
        import confluent_kafka
        assert issubclass(confluent_kafka.SerializingProducer, confluent_kafka.Producer)
        producer = confluent_kafka.SerializingProducer.__mro__[1]
        assert depth(inspect.getattr_static(producer, "produce")) == 1
        """)
    )


def test_subclasses_that_were_made_before_are_instrumented_too():
    run(
        script("""
        import confluent_kafka

        class Own(confluent_kafka.Producer):
            def produce(self, topic, value, headers=None):
                super().produce(topic, value, headers=headers)

        class Heir(confluent_kafka.Producer):
            pass

        own = Own.__dict__["produce"]
        for _ in range(2):
            instrument()
            for subclass in Own, Heir:
                assert depth(inspect.getattr_static(subclass, "produce")) == 1
            uninstrument()
            assert Own.__dict__["produce"] is own
            assert "produce" not in Heir.__dict__
        """)
    )


def run_instrumented(script: str, **environment: str) -> str:
    command = [str(Path(sys.executable).with_name("opentelemetry-instrument"))]
    done = subprocess.run(
        [*command, sys.executable, "-c", textwrap.dedent(script)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={
            **os.environ,
            "PYTHONPATH": SOURCE,
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            # Nobody listens there, and nothing is sent.
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            **environment,
        },
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


ASK = """
    import pika.adapters.blocking_connection, httpx
    from otelope import instrumentor
    states = instrumentor.active().states if instrumentor.active() else {}
    print(states.get("brokers.pika"), states.get("web.httpx"), sep="|")
"""
installed = pytest.mark.skipif(
    not entry_points(group="opentelemetry_pre_instrument", name="otelope"),
    reason="otelope is not installed in this environment: make dev",
)


@installed
@pytest.mark.parametrize(
    ("disabled", "expected"),
    [
        ("", "instrumented|instrumented"),
        ("otelope_pika", "None|instrumented"),
        ("otelope_pika,otelope_httpx", "None|None"),
    ],
)
def test_off_switch_per_library(disabled, expected):
    printed = run_instrumented(ASK, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled)
    assert printed.strip() == expected


@installed
def test_sdk_switched_off_is_otelope_switched_off():
    assert run_instrumented(ASK, OTEL_SDK_DISABLED="true").strip() == "None|None"


def test_version_out_of_range_says_so(monkeypatch):
    monkeypatch.setattr(instrumentor, "version", lambda _: "1.0")
    row = Row("brokers.pika", "pika", "pika>=1.2,<2")
    assert Version("1.0") < Version("1.2")
    assert instrumentor.unsupported(row) == (
        "pika 1.0 is not instrumented: otelope supports pika>=1.2,<2"
    )


def test_library_that_is_no_distribution_says_so():
    row = Row("brokers.nobody", "nobody", "nobody-has-this>=1,<2")
    assert instrumentor.unsupported(row) == "nobody-has-this is not installed as a distribution"


def test_unknown_entry_point_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nobody'"):
        _ = instrumentor.nobody
