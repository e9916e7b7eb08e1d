"""`otelope doctor`: each check on a real environment, and the whole through the real program."""

from __future__ import annotations

import json
import socket
import sys
import time

from contextlib import closing
from dataclasses import fields
from importlib.metadata import version

import pytest

from otelope.adapters.table import TABLE, Row
from otelope.cli.checks import destination, libraries, opentelemetry, settings
from otelope.cli.checks.finding import Finding
from otelope.cli.checks.processes import describe
from otelope.cli.doctor import report_lines
from otelope.cli.style import Style
from otelope.core.settings import Settings
from tests.cli.conftest import running_up
from tests.cli.story import START, process_request


SWITCH = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


def one(found):
    (only,) = found
    return only


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Adds distributions to the environment: metadata, as an installer writes it."""

    def add(name, requires="packaging>=1", instrumentor=""):
        directory = tmp_path / f"{name.replace('-', '_')}-1.dist-info"
        directory.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1"]
        (directory / "METADATA").write_text("\n".join([*lines, f"Requires-Dist: {requires}", ""]))
        if instrumentor:
            points = f"[opentelemetry_instrumentor]\n{instrumentor} = x:y\n"
            (directory / "entry_points.txt").write_text(points)

    monkeypatch.syspath_prepend(tmp_path)
    return add


@pytest.fixture
def closed_port():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return taken.getsockname()[1]


class TestLibraries:
    """Rows against what is installed here: packaging, a distribution with known versions."""

    here = version("packaging")

    @pytest.fixture(autouse=True)
    def otelope_is_installed(self, installed):
        installed("otelope", instrumentor="otelope_packaging")

    def test_supported(self):
        found = one(libraries.look({}, [Row("web.packaging", "packaging", "packaging>=1")]))
        assert (found.level, found.subject) == ("ok", "packaging")
        assert found.text.startswith(f"{self.here}, instrumented when it is imported")
        assert found.facts["installed"] == self.here

    def test_not_installed(self):
        found = one(libraries.look({}, [Row("web.none", "none", "no-such-distribution>=1")]))
        assert (found.level, found.text) == ("note", "not installed")

    def test_a_version_that_is_not_supported(self):
        found = one(libraries.look({}, [Row("web.packaging", "packaging", "packaging>=1,<2")]))
        assert found.level == "attention"
        assert found.text == (
            f"{self.here} is installed, not instrumented: otelope supports packaging<2,>=1"
        )
        assert found.advice.endswith(f"{SWITCH}=otelope_packaging")

    @pytest.mark.parametrize("off", ["otelope_packaging", " otelope_packaging ,x", "*"])
    def test_switched_off(self, off):
        row = Row("web.packaging", "packaging", "packaging>=1")
        found = one(libraries.look({SWITCH: off}, [row]))
        assert (found.level, found.text) == ("note", f"{self.here}, switched off by {SWITCH}")

    def test_one_that_the_installed_otelope_does_not_know(self):
        found = one(libraries.look({}, [Row("web.other", "packaging", "packaging>=1")]))
        assert found.level == "attention"
        assert found.advice.startswith("install otelope again")

    def test_every_row_has_a_finding(self):
        found = libraries.look({})
        assert len(found) == len(TABLE)

    @pytest.mark.parametrize(
        ("library", "contrib"),
        [("pika", "pika"), ("aiokafka", "aiokafka"), ("starlette", "fastapi")],
    )
    def test_other_instrumentations_of_the_library_are_named(self, library, contrib):
        name = f"opentelemetry-instrumentation-{contrib}"
        version(name)
        found = next(each for each in libraries.look({}) if each.subject == library)
        assert name in found.facts["beside"]

    def test_so_they_are_in_the_text(self, installed):
        requires = "packaging>=1; extra == 'instruments'"
        installed("opentelemetry-instrumentation-packaging", requires, "packaging")
        installed("opentelemetry-instrumentation-other", "x; extra == 'instruments'", "other")
        found = one(libraries.look({}, [Row("web.packaging", "packaging", "packaging>=1")]))
        others = found.text.partition("; others here instrument it, or what stands on it: ")[2]
        assert "opentelemetry-instrumentation-packaging" in others.split(", ")
        assert "opentelemetry-instrumentation-other" not in others.split(", ")


class TestOpenTelemetry:
    def test_the_distro_is_there(self):
        found = {each.subject: each for each in opentelemetry.look({})}
        assert found["opentelemetry-distro"].text == version("opentelemetry-distro")

    def test_the_sdk_is_switched_off(self):
        found = {each.subject: each for each in opentelemetry.look({"OTEL_SDK_DISABLED": "True"})}
        assert found["OTEL_SDK_DISABLED"].level == "attention"

    def test_packages_that_do_not_fit_together(self, installed):
        start = "opentelemetry-instrumentation"
        installed(f"{start}-old", f"{start}==0.1b0")
        installed(f"{start}-lonely", "no-such-distribution>=2")
        installed(f"{start}-fine", "packaging>=1")
        installed(f"{start}-extra", "no-such-distribution; extra == 'instruments'")
        installed(f"{start}-odd", "this is no requirement")
        found = {each.subject: each for each in opentelemetry.look({})}
        assert found[f"{start}-old"].level == "attention"
        assert found[f"{start}-old"].text == (
            f"requires {start}==0.1b0, but {version(start)} is installed"
        )
        assert "which is not installed" in found[f"{start}-lonely"].text
        assert not {f"{start}-fine", f"{start}-extra", f"{start}-odd"} & set(found)

    def test_otelope_and_its_version(self, installed):
        installed("otelope")
        assert opentelemetry.look({})[0] == Finding("ok", "otelope", "1")

    def test_an_environment_without_anything(self, monkeypatch, tmp_path):
        monkeypatch.setattr(sys, "path", [str(tmp_path)])
        found = opentelemetry.look({})
        assert [(each.level, each.subject) for each in found] == [
            ("attention", "otelope"),
            ("attention", "opentelemetry-distro"),
        ]


class TestSettings:
    def test_nothing_set(self):
        assert settings.look({"PATH": "/bin"}) == [Finding("ok", "OTELOPE_*", "all defaults")]

    def test_a_value_that_is_not_the_default(self):
        found = one(settings.look({"OTELOPE_TRACES": "links"}))
        assert (found.level, found.subject, found.text) == ("ok", "OTELOPE_TRACES", "links")
        assert found.facts == {"value": "links", "default": "tree"}

    def test_a_value_that_is_the_default(self):
        assert one(settings.look({"OTELOPE_TRACES": "tree"})).text == "tree, which is the default"

    def test_a_value_that_cannot_be_read(self, caplog):
        found = one(settings.look({"OTELOPE_NEW_TRACE_AFTER": "soon"}))
        assert (found.level, found.subject) == ("attention", "OTELOPE_NEW_TRACE_AFTER")
        assert found.text.startswith("is ignored, 3600.0 is used instead: ")
        assert not caplog.records

    def test_a_misspelt_name(self):
        found = one(settings.look({"OTELOPE_FEILDS": "id=messageId"}))
        assert (found.level, found.text) == ("attention", "is no setting")
        assert found.advice == "did you mean OTELOPE_FIELDS?"

    def test_a_name_from_nowhere(self):
        assert "unset it" in one(settings.look({"OTELOPE_QQQQQQQQ": "1"})).advice

    @pytest.mark.parametrize("name", ["OTELOPE_STORE", "OTELOPE_JAEGER_URL"])
    def test_some_are_the_commands_own(self, name):
        assert one(settings.look({name: "/x"})).text == "all defaults"

    @pytest.mark.parametrize("entry", fields(Settings), ids=lambda entry: entry.name)
    def test_every_setting_is_known(self, entry):
        found = one(settings.look({entry.metadata["env"]: "1"}))
        assert found.text != "is no setting"


class TestDestination:
    @pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
    def test_a_collector_that_answers(self, up, protocol):
        url = f"http://{up.grpc}" if protocol == "grpc" else up.url
        variables = {"ENDPOINT": url, "PROTOCOL": protocol}
        found = one(destination.look({f"OTEL_EXPORTER_OTLP_{k}": v for k, v in variables.items()}))
        assert (found.level, found.text) == ("ok", "a collector takes records"), found
        assert found.facts["protocol"] == protocol

    def test_spans_of_the_fast_lane_go_where_theirs_are_said_to(self, up, closed_port):
        environ = {
            "OTELOPE_LANE": "fast",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{up.grpc}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "soon",
        }
        records, spans, complaint = destination.look(environ)
        assert (records.text, spans.text) == (
            "a collector takes records",
            "a collector takes spans",
        )
        assert "TIMEOUT=soon" in complaint.text
        environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"http://127.0.0.1:{closed_port}"
        records, spans, _ = destination.look(environ)
        assert (records.level, spans.level) == ("ok", "attention")
        assert spans.text.startswith("does not take spans: ")

    @pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
    def test_nobody_answers(self, closed_port, protocol):
        variables = {"ENDPOINT": f"http://127.0.0.1:{closed_port}", "PROTOCOL": protocol}
        found = one(destination.look({f"OTEL_EXPORTER_OTLP_{k}": v for k, v in variables.items()}))
        assert found.level == "attention"
        assert found.text.startswith("does not take records: ")
        assert "\n" not in found.text
        assert "otelope up" in found.advice

    @pytest.mark.parametrize(
        ("protocol", "port", "advice"),
        [("grpc", 4318, "4318 is the port for HTTP"), ("http/protobuf", 4317, "for gRPC")],
    )
    def test_a_port_of_the_other_protocol(self, protocol, port, advice):
        # 127.0.0.2 is loopback too, and no collector listens there by default.
        variables = {"ENDPOINT": f"http://127.0.0.2:{port}", "PROTOCOL": protocol}
        found = one(destination.look({f"OTEL_EXPORTER_OTLP_{k}": v for k, v in variables.items()}))
        assert advice in found.advice

    def test_an_endpoint_that_is_none(self):
        found = one(destination.look({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[bad"}))
        assert (found.level, bool(found.advice)) == ("attention", True)

    def test_a_variable_that_is_not_understood(self, closed_port):
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{closed_port}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "soon",
        }
        found = destination.look(environ)
        assert [each.level for each in found] == ["attention", "attention"]
        assert "TIMEOUT=soon" in found[1].text


def process(**status):
    return {
        "service": "payments", "version": "2.1", "instance": "", "pid": 7, "last_seen": START,
        "status": {
            "instrumented": {"brokers.pika": "instrumented", "web.httpx": "not imported"},
            "counters": {"seen": 5, "stored": 5, "spooled": 0, "dropped": 0},
            "internal_errors": 0,
            **status,
        },
    }  # fmt: skip


class TestProcesses:
    def test_one_in_the_fast_lane_tells_of_its_spans(self):
        told = {"seen": 9, "stored": 2, "spooled": 0, "dropped": 7}
        found = describe(process(lane="fast", spans=told), START + 2_000)
        assert "5 stored" in found.text
        assert "; spans: 9 seen, 2 stored, 0 spooled, 7 dropped; " in found.text
        assert found.advice.startswith("7 spans lost: ")
        assert "spans" not in describe(process(lane="compat"), START + 2_000).text

    def test_a_healthy_one(self):
        found = describe(process(), START + 2_000)
        assert found[:4] == (
            "ok",
            "payments 2.1 (pid 7)",
            "5 seen, 5 stored, 0 spooled, 0 dropped; instrumented: brokers.pika; heard 2 s ago",
            "",
        )

    def test_one_that_lost_records(self):
        found = describe(process(counters={"seen": 3, "stored": 2, "dropped": 1}), START)
        assert found.level == "attention"
        assert found.advice.startswith("1 record lost: ")

    def test_one_whose_spool_fails(self):
        found = describe(process(spool_failure="No space left on device"), START)
        assert found.level == "attention"
        assert "in memory only (No space left on device): see OTELOPE_SPOOL_DIR" in found.advice

    def test_one_with_internal_errors(self):
        found = describe(process(internal_errors=2), START)
        assert (found.level, found.advice.split(":")[0]) == ("attention", "2 internal errors")

    def test_one_with_a_library_that_is_not_instrumented(self):
        problem = "pika 0.9 is not instrumented: otelope supports pika>=1.2,<2"
        found = describe(process(instrumented={"brokers.pika": problem}), START)
        assert (found.level, found.advice) == ("attention", f"brokers.pika: {problem}")

    @pytest.mark.parametrize("status", ["not JSON", None, [], {"counters": 3, "instrumented": []}])
    def test_one_that_says_nonsense(self, status):
        found = describe({**process(), "status": status}, START)
        assert (found.level, found.text.partition(";")[0]) == (
            "ok",
            "0 seen, 0 stored, 0 spooled, 0 dropped",
        )


def test_the_report_ends_with_what_is_to_do():
    sections = {"a": [Finding("ok", "x", "fine")], "b": [Finding("note", "y", "so\nso")]}
    assert list(report_lines(sections, Style())) == [
        "a", "  ✓ x  fine", "b", r"  - y  so\nso", "healthy",
    ]  # fmt: skip
    sections["c"] = [Finding("attention", "z", "bad", "mend it")] * 2
    assert list(report_lines(sections, Style()))[-5:] == [
        "  ✗ z  bad", "    → mend it", "  ✗ z  bad", "    → mend it", "2 things to attend to",
    ]  # fmt: skip


def test_the_whole(otelope, tmp_path):
    with running_up(tmp_path / "up") as up:
        up.send(process_request("orders", "1.0", 4711, time.time() * 1e3, process()["status"]))
        up.send(process_request("old", "0.1", 1, (time.time() - 90_000) * 1e3, {}))
        variables = {"OTELOPE_TRACES": "links", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{up.grpc}"}
        done = otelope("doctor", "--json", "--store", up.url, **variables)
        report = json.loads(done.stdout)
        assert [each["subject"] for each in report["processes"]] == ["orders 1.0 (pid 4711)"]
        assert report["processes"][0]["process"]["status"]["counters"]["seen"] == 5
        assert one(report["settings"])["value"] == "links"
        assert one(report["destination"])["level"] == "ok"
        assert {each["subject"] for each in report["libraries"]} >= {"pika", "starlette"}
        attention = [
            each
            for section in report.values() if isinstance(section, list)
            for each in section if each["level"] == "attention"
        ]  # fmt: skip
        assert report["healthy"] is (not attention)
        assert done.returncode == (1 if attention else 0)
        assert all(each["advice"] for each in attention)

        lost = {**process()["status"], "counters": {"seen": 9, "stored": 2, "dropped": 7}}
        up.send(process_request("orders", "1.0", 4711, time.time() * 1e3 + 1, lost))
        done = otelope("doctor", "--store", up.url, **variables)
        assert done.returncode == 1
        assert "✗ orders 1.0 (pid 4711)  9 seen, 2 stored, 0 spooled, 7 dropped" in done.stdout
        assert "→ 7 records lost: " in done.stdout

        for pid in range(30):
            up.send(process_request("many", "", pid, time.time() * 1e3 + 2, {}))
        done = otelope("doctor", "--store", up.url, **variables)
        assert sum("many (pid " in line for line in done.stdout.splitlines()) == 20
        assert "11 more processes, heard before" in done.stdout
        up.stop()
        done = otelope("doctor", "--json", "--store", str(tmp_path / "up"), **variables)
        assert len(json.loads(done.stdout)["processes"]) == 21


def test_a_store_that_no_process_reports_to(up, otelope):
    done = otelope("doctor", "--store", up.url)
    assert f"- {up.url}  no process has reported in the last 24 hours" in done.stdout


def test_without_anything_running(otelope, closed_port):
    where = f"http://127.0.0.1:{closed_port}"
    done = otelope("doctor", "--store", where, OTEL_EXPORTER_OTLP_ENDPOINT=where)
    assert done.returncode == 1
    assert f"✗ 127.0.0.1:{closed_port} (grpc)  does not take records: " in done.stdout
    assert f"→ nothing answers at {where}: start it with `otelope up`" in done.stdout
    assert "Traceback" not in done.stderr
