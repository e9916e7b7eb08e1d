"""Settings of the in-process half: read once, forgiving; each complaint says what to do."""

from __future__ import annotations

from dataclasses import fields

import pytest

from otelope.core.settings import Settings


def test_an_empty_environment_gives_the_defaults():
    assert Settings.from_environment({}) == Settings()


def test_every_setting_is_read_from_its_variable():
    values = {
        "OTELOPE_TRACES": "links",
        "OTELOPE_LANE": "fast",
        "OTELOPE_FIELDS": "id=messageId, parentId = causationId",
        "OTELOPE_COMMANDS": "*Command, Place*",
        "OTELOPE_EVENTS": "*Event",
        "OTELOPE_NEW_TRACE_AFTER": "60",
        "OTELOPE_CONTRACTS": "strict",
        "OTELOPE_MAX_BODY_BYTES": "1000",
        "OTELOPE_QUEUE_BYTES": "2000",
        "OTELOPE_EXPORT_INTERVAL": "0.5",
        "OTELOPE_SPOOL_DIR": "/var/lib/shop",
        "OTELOPE_SPOOL_BYTES": "3000",
        "OTELOPE_DURABLE": "write-ahead",
        "OTELOPE_SHUTDOWN_TIMEOUT": "2",
    }
    known = {entry.metadata["env"] for entry in fields(Settings)}
    assert set(values) <= known
    read = Settings.from_environment(values)
    default = Settings()
    for entry in fields(Settings):
        if entry.metadata["env"] in values:
            assert getattr(read, entry.name) != getattr(default, entry.name)
    assert read.fields == (("id", "messageId"), ("parentId", "causationId"))
    assert read.commands == ("*Command", "Place*")
    assert read.queue_bytes == 2000
    assert read.spool_dir == "/var/lib/shop"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTELOPE_TRACES", "forest"),
        ("OTELOPE_CONTRACTS", "loose"),
        ("OTELOPE_DURABLE", "for ever"),
        ("OTELOPE_FIELDS", "id"),
        ("OTELOPE_FIELDS", "id=,type=x"),
        ("OTELOPE_QUEUE_BYTES", "many"),
        ("OTELOPE_QUEUE_BYTES", "0"),
        ("OTELOPE_QUEUE_BYTES", "1.5"),
        ("OTELOPE_EXPORT_INTERVAL", "-1"),
        ("OTELOPE_EXPORT_INTERVAL", "inf"),
        ("OTELOPE_EXPORT_INTERVAL", "nan"),
    ],
)
def test_what_cannot_be_read_is_reported_once_and_its_default_used(variable, value, caplog):
    assert Settings.from_environment({variable: value}) == Settings()
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{variable} is ignored")


def test_white_space_is_nothing():
    assert Settings.from_environment({"OTELOPE_QUEUE_BYTES": "  "}) == Settings()


def test_every_setting_says_what_it_is_for():
    for entry in fields(Settings):
        assert entry.metadata["env"] == f"OTELOPE_{entry.name.upper()}"
        assert entry.metadata["text"].endswith(".")


def test_settings_are_frozen():
    with pytest.raises(AttributeError):
        Settings().traces = "links"
