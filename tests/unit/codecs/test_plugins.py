"""Codecs of other distributions, installed for real: a module and its entry points on the path."""

from __future__ import annotations

import importlib
import logging
import sys

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otelope.codecs import Codecs
from otelope.model.envelope import Envelope, Source
from tests.unit.codecs.messages import ID, LIMIT, METADATA, encoded, json_envelope, recognised


Install = Callable[..., Codecs]

GOOD = f"""
from otelope.model.envelope import Envelope, Source

def decode(message, carrier):
    if message.body == b"dialect":
        return Envelope({ID.upper()!r}, "Told", 5.0, Source("other"), {ID!r}[::-1])
"""
ENVELOPE = Envelope(ID, "Told", 5.0, Source("other"), ID[::-1])


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    monkeypatch.syspath_prepend(tmp_path)

    def install(entry_points: str, **modules: str) -> Codecs:
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(source)
        metadata = tmp_path / "dialects-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: dialects\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[otelope.codecs]\n{entry_points}\n")
        importlib.invalidate_caches()
        return Codecs({}, LIMIT)

    yield install
    for name in [name for name in sys.modules if name.startswith("dialect_")]:
        del sys.modules[name]


def test_a_module_is_a_codec(install: Install) -> None:
    codecs = install("good = dialect_good", dialect_good=GOOD)

    assert recognised(b"dialect", codecs=codecs) == ENVELOPE
    assert recognised(b"other", codecs=codecs) is None


@pytest.mark.parametrize("attribute", ["Codec", "codec"])
def test_a_class_and_an_object_are_codecs(install: Install, attribute: str) -> None:
    source = GOOD.replace("def decode(", "class Codec:\n  def decode(self, ").replace(
        "\n    ", "\n      "
    )
    codecs = install(f"c = dialect_c:{attribute}", dialect_c=source + "\ncodec = Codec()\n")

    assert recognised(b"dialect", codecs=codecs) == ENVELOPE


def test_they_are_loaded_with_the_first_message(install: Install) -> None:
    codecs = install("good = dialect_good", dialect_good=GOOD)

    assert "dialect_good" not in sys.modules
    recognised(b"", codecs=codecs)
    assert "dialect_good" in sys.modules


def test_they_go_before_our_own(install: Install) -> None:
    codecs = install(
        "good = dialect_good", dialect_good=GOOD.replace('b"dialect"', repr(encoded(METADATA)))
    )

    assert recognised(encoded(METADATA), codecs=codecs) == ENVELOPE


BROKEN = {
    "not there": ("bad = dialect_nowhere", "", "ModuleNotFoundError"),
    "fails at import": ("bad = dialect_bad", "1 / 0", "ZeroDivisionError"),
    "does not compile": ("bad = dialect_bad", "def", "SyntaxError"),
    "not a codec": ("bad = dialect_bad", "x = 1", "AttributeError"),
    "fails": ("bad = dialect_bad", "def decode(message, carrier): 1 / 0", "ZeroDivisionError"),
    "takes nothing": ("bad = dialect_bad", "def decode(): pass", "TypeError"),
    "gives something else": (
        "bad = dialect_bad",
        "def decode(message, carrier): return {'id': 1}",
        "AttributeError",
    ),
    "gives an id that is none": (
        "bad = dialect_bad",
        GOOD.replace("if message", "if True or message").replace(repr(ID.upper()), "'a\\nb'"),
        "ValueError",
    ),
    "gives a parent that is none": (
        "bad = dialect_bad",
        GOOD.replace("if message", "if True or message").replace(f"{ID!r}[::-1]", "''"),
        "ValueError",
    ),
}


@pytest.mark.parametrize(("entry_point", "source", "error"), BROKEN.values(), ids=BROKEN)
def test_a_broken_one_is_reported_once_and_skipped(
    install: Install,
    caplog: pytest.LogCaptureFixture,
    entry_point: str,
    source: str,
    error: str,
) -> None:
    modules = {"dialect_good": GOOD} | ({"dialect_bad": source} if source else {})
    codecs = install(f"{entry_point}\ngood = dialect_good", **modules)
    body = encoded(METADATA)

    with caplog.at_level(logging.ERROR, "otelope"):
        for _ in range(3):
            assert recognised(b"dialect", codecs=codecs) == ENVELOPE
            assert recognised(body, codecs=codecs) == json_envelope(body)

    (record,) = caplog.records
    assert error in record.getMessage()
    assert entry_point.partition(" = ")[2] in record.getMessage()


def test_no_body_is_logged(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    codecs = install(
        "bad = dialect_bad",
        dialect_bad="def decode(message, carrier): raise ValueError(message.body)",
    )

    assert recognised(b"secret", codecs=codecs) is None
    assert caplog.records
    assert "secret" not in caplog.text


def test_an_interrupt_passes(install: Install) -> None:
    codecs = install(
        "bad = dialect_bad", dialect_bad="def decode(message, carrier): raise KeyboardInterrupt"
    )

    with pytest.raises(KeyboardInterrupt):
        recognised(b"", codecs=codecs)
