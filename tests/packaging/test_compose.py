"""What docker-compose.yml promises, seen in the file, what it mounts and what it is built from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ruamel.yaml import YAML

from examples.demo.run import SERVICES as DEMO
from otelope.cli import clickhouse
from otelope.cli.jaeger import JAEGER_VARIABLE
from otelope.stitch.destination import ENDPOINT_VARIABLE
from otelope.store.remote import OLDEST_VERSION
from tests.packaging import compose
from tests.packaging.compose import ROOT, binds, configuration, mounted, one_shot, services
from tests.packaging.image import instructions


SERVICES = services()
BACKEND = {"clickhouse", "schema", "queue", "collector", "jaeger", "ready", "otelope"}
# Their images have nothing to look after themselves with.
SHELL_LESS = {"collector": "COLLECTOR_HEALTH", "jaeger": "JAEGER_HEALTH"}
OURS = {"otelope": "otelope", "demo": "otelope-demo"}
SECRET = re.compile("PASSWORD|SECRET|TOKEN|_KEY$")
COMPLETED = "service_completed_successfully"

every_service = pytest.mark.parametrize("name", SERVICES)


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def sample() -> dict[str, str]:
    """The variables of .env.sample, also those that are commented out."""
    lines = re.findall(r"^#?([A-Z][A-Z_]+)=(.*)$", read(".env.sample"), re.MULTILINE)
    return dict(lines)


def tag(name: str) -> str:
    return str(SERVICES[name]["image"]).rpartition(":")[2]


def asked_for(text: str) -> set[str]:
    """The variables that a configuration of the collector or of Jaeger takes."""
    return set(re.findall(r"\$\{env:(\w+)", text))


def checked(file: Path) -> subprocess.CompletedProcess[str]:
    """What the compose schema, which comes with the checker, says of a file."""
    command = ["check_jsonschema", "--builtin-schema", "vendor.compose-spec", file]
    return subprocess.run(
        [sys.executable, "-m", *command], check=False, capture_output=True, text=True
    )


def test_is_a_compose_file():
    done = checked(compose.FILE)
    assert done.returncode == 0, done.stdout


def test_a_wrong_file_would_be_found(tmp_path: Path):
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(compose.TEXT.replace("read_only: true", "read_only: [true]"))
    assert checked(wrong).returncode == 1


OVERRIDES = re.findall(r"```yaml\n(.*?)```", read("docs/compose.md"), re.DOTALL)


@pytest.mark.parametrize("override", OVERRIDES, ids=range(len(OVERRIDES)))
def test_the_overrides_in_the_docs_are_of_this_file(override: str, tmp_path: Path):
    file = tmp_path / "docker-compose.override.yml"
    file.write_text(override, encoding="utf-8")
    done = checked(file)
    assert done.returncode == 0, done.stdout
    for name, changed in YAML(typ="safe").load(override)["services"].items():
        for path in configuration({**SERVICES[name], **changed}):
            assert path.exists(), path


class TestImages:
    @every_service
    def test_has_its_whole_version(self, name: str):
        assert re.fullmatch(r"\d+\.\d+\.\d+(\.\d+)?", tag(name))

    @every_service
    def test_says_its_registry_unless_it_is_ours(self, name: str):
        """Podman asks or fails where it has several registries to choose from."""
        service = SERVICES[name]
        image = service["image"].rpartition(":")[0]
        assert image in OURS.values() or image.startswith("docker.io/")

    @pytest.mark.parametrize("target", OURS)
    def test_ours_is_built_once_here_with_this_version_and_never_pulled(self, target: str):
        users = [s for s in SERVICES.values() if s["image"].startswith(f"{OURS[target]}:")]
        builders = [s for s in users if "build" in s]
        assert {s["image"] for s in users} == {f"{OURS[target]}:{version('otelope')}"}
        # Two builders would race for the name.
        (builder,) = builders
        assert builder["build"] == {"context": ".", "target": target}
        assert {s["pull_policy"] for s in users if s is not builder} == {"never"}
        assert builder["pull_policy"] == "build"
        stages = {value.split()[-1] for word, value in instructions() if word == "FROM"}
        assert target in stages

    def test_clickhouse_is_new_enough(self):
        assert tuple(map(int, tag("clickhouse").split(".")[:2])) >= OLDEST_VERSION

    def test_the_collector_has_what_the_tests_build(self):
        """Not the very version: an image is published later than its modules, or not at all."""
        modules = re.findall(
            r" v0\.(\d+)\.\d+$", read("collector-config/builder.yaml"), re.MULTILINE
        )
        minor = int(tag("collector").split(".")[1])
        assert min(map(int, modules)) <= minor <= max(map(int, modules))

    def test_kafka_is_the_one_that_the_tests_run(self):
        pom = read("tests/e2e/servers/kafka/pom.xml")
        assert f"<version>{tag('kafka')}</version>" in pom

    def test_jaeger_is_one_that_keeps_spans_in_clickhouse(self):
        assert tuple(map(int, tag("jaeger").split("."))) >= (2, 21, 0)


class TestReach:
    @every_service
    def test_every_port_is_published_on_loopback_and_can_be_moved(self, name: str):
        for port in SERVICES[name].get("ports", ()):
            assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
        moved = services(**{each: "7" for each in sample() if each.startswith("PORT_")})
        assert all(":7:" in port for port in moved[name].get("ports", ()))

    def test_only_what_takes_telemetry_can_be_opened_to_other_machines(self):
        opened = services(OTLP_ADDRESS="0.0.0.0")  # noqa: S104 - what a user may want
        beyond = {
            name
            for name, service in opened.items()
            for port in service.get("ports", ())
            if not port.startswith("127.0.0.1:")
        }
        assert beyond == {"collector"}

    def test_no_two_services_want_one_port(self):
        taken = [p.split(":")[1] for s in SERVICES.values() for p in s.get("ports", ())]
        assert len(taken) == len(set(taken))

    def test_addresses_within_name_services_and_ports_they_listen_on(self):
        listens = {
            "clickhouse": {"8123", "9000"},
            "collector": {"4317", "13133"},
            "jaeger": {"4317", "13133"},
            "kafka": {"9092"},
            "orders": {"8000"},
        }
        words = [
            str(word)
            for service in SERVICES.values()
            for part in ("command", "entrypoint", "environment")
            for word in (
                service.get(part, {}).values()
                if isinstance(service.get(part), dict)
                else service.get(part, ())
            )
        ]
        found = {
            pair for word in words for pair in re.findall(rf"\b({'|'.join(SERVICES)}):(\d+)", word)
        }
        assert {name for name, _ in found} == set(listens)
        assert all(port in listens[name] for name, port in found)


class TestRights:
    @every_service
    def test_has_no_more_rights_than_it_needs(self, name: str):
        service = SERVICES[name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges"]
        assert not {"cap_add", "privileged", "network_mode", "pid", "devices"} & set(service)

    @every_service
    def test_is_not_root(self, name: str):
        service = SERVICES[name]
        if service["image"].rpartition(":")[0] in OURS.values():
            user = dict(i for i in instructions() if i[0] == "USER")["USER"]
        else:
            user = service["user"]
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)

    @every_service
    def test_writes_to_volumes_only_where_its_image_allows_that(self, name: str):
        # ClickHouse's and Kafka's entrypoints write their configuration into the image's files.
        assert SERVICES[name].get("read_only", False) == (name not in ("clickhouse", "kafka"))

    @every_service
    def test_mounts_files_of_this_project_only_to_read_them(self, name: str):
        for mount in binds(SERVICES[name]):
            assert mount["source"].startswith("./")
            assert (ROOT / mount["source"]).exists()
            assert mount["read_only"] is True
            # Not made, and then owned by root, where it is missing; readable under SELinux.
            assert mount["bind"] == {"create_host_path": False, "selinux": "z"}

    @every_service
    def test_keeps_what_lasts_in_named_volumes(self, name: str):
        named = [m for m in SERVICES[name].get("volumes", ()) if isinstance(m, str)]
        for mount in named:
            source, target = mount.split(":")
            assert source in compose.volumes()
            assert target.startswith("/var/lib/")

    def test_every_volume_is_used(self):
        used = {
            m.split(":")[0] for s in SERVICES.values() for m in s.get("volumes", ()) if m == str(m)
        }
        assert used == set(compose.volumes())


class TestVariables:
    def test_the_sample_has_what_the_file_asks_for_and_nothing_else(self):
        assert set(sample()) == {each.name for each in compose.variables()}

    def test_the_sample_tells_the_defaults(self):
        for each in compose.variables():
            assert sample()[each.name] == (each.default or ""), each.name

    def test_a_secret_has_no_default_and_says_what_to_do(self):
        secrets = [each for each in compose.variables() if SECRET.search(each.name)]
        assert secrets
        for each in secrets:
            assert each.default is None
            assert each.complaint == "copy .env.sample to .env and fill in the password"

    def test_only_secrets_have_to_be_filled_in(self):
        required = {each.name for each in compose.variables() if each.default is None}
        assert required == {name for name in sample() if SECRET.search(name)}

    def test_no_secret_stands_in_a_command(self):
        for service in services(CLICKHOUSE_PASSWORD="s3cret").values():
            said = {key: value for key, value in service.items() if key != "environment"}
            assert "s3cret" not in str(said)

    def test_what_is_filled_in_is_kept_out_of_git_and_of_images(self):
        assert "/.env" in read(".gitignore").splitlines()
        assert "!.env" not in read(".dockerignore")

    @pytest.mark.parametrize("name", ["otelope", "schema"])
    def test_otelope_knows_its_variables(self, name: str):
        known = {*clickhouse.VARIABLES, JAEGER_VARIABLE, ENDPOINT_VARIABLE}
        assert set(SERVICES[name]["environment"]) <= known

    def test_the_collector_takes_its_variables(self):
        (file,) = configuration(SERVICES["collector"])
        of_the_runtime = {"GOMEMLIMIT"}
        given = set(SERVICES["collector"]["environment"]) - of_the_runtime
        assert given <= asked_for(file.read_text("utf-8"))

    def test_the_collector_has_the_memory_that_its_configuration_takes(self):
        (file,) = configuration(SERVICES["collector"])
        limit = re.search(r"COLLECTOR_MEMORY_MIB:-(\d+)", file.read_text("utf-8"))
        assert limit
        collector = SERVICES["collector"]
        assert collector["environment"]["GOMEMLIMIT"] == f"{int(limit[1]) * 8 // 10}MiB"
        assert int(limit[1]) < int(collector["mem_limit"].removesuffix("g")) * 1024

    @pytest.mark.parametrize("storage", ["clickhouse", "memory"])
    def test_jaeger_takes_its_variables_whatever_its_storage(self, storage: str):
        jaeger = services(JAEGER_STORAGE=storage)["jaeger"]
        (file,) = configuration(jaeger)
        asked = asked_for(file.read_text("utf-8"))
        stored = {"CLICKHOUSE_NATIVE", "CLICKHOUSE_PASSWORD", "JAEGER_KEEP"}
        assert set(jaeger["environment"]) - asked == (stored if storage == "memory" else set())

    def test_jaeger_keeps_its_spans_in_the_database_that_clickhouse_makes(self):
        made = SERVICES["clickhouse"]["environment"]["CLICKHOUSE_DB"]
        assert f"${{env:JAEGER_DATABASE:-{made}}}" in read(
            "collector-config/jaeger-clickhouse.yaml"
        )


class TestHealth:
    @every_service
    def test_is_asked_without_a_shell(self, name: str):
        test = SERVICES[name].get("healthcheck", {}).get("test", ["CMD"])
        assert test[0] == "CMD"
        assert not {"sh", "bash", "/bin/sh"} & set(test)

    @pytest.mark.parametrize("name", SHELL_LESS)
    def test_without_a_shell_it_is_seen_from_outside(self, name: str):
        assert "healthcheck" not in SERVICES[name]
        address = SERVICES[name]["environment"][SHELL_LESS[name]]
        assert address.startswith("0.0.0.0:")
        port = address.rpartition(":")[2]
        assert any(w.startswith(f"http://{name}:{port}/") for w in SERVICES["ready"]["command"])
        assert SERVICES["ready"]["depends_on"][name] == {"condition": "service_started"}

    def test_the_api_is_asked_as_the_image_says(self):
        said = dict(i for i in instructions() if i[0] == "HEALTHCHECK")["HEALTHCHECK"]
        ours = SERVICES["otelope"]["healthcheck"]
        assert re.findall(r'"([^"]*)"', said) == ours["test"][1:]
        for option in ("interval", "timeout", "start_period"):
            assert f"--{option.replace('_', '-')}={ours[option]}" in said

    @every_service
    def test_who_runs_once_is_waited_for_to_the_end_and_nobody_else(self, name: str):
        """Otherwise `up --wait` takes the end of it for a fault."""
        profiles = SERVICES[name].get("profiles")
        conditions = {
            other["depends_on"][name]["condition"]
            for other in SERVICES.values()
            if name in other.get("depends_on", ()) and other.get("profiles") in (profiles, None)
        }
        assert (COMPLETED in conditions) == one_shot(SERVICES[name])
        if one_shot(SERVICES[name]):
            assert conditions == {COMPLETED}

    @every_service
    def test_who_runs_our_image_waits_until_it_is_built(self, name: str):
        service = SERVICES[name]
        if "build" in service or service["image"].rpartition(":")[0] not in OURS.values():
            return
        seen, pending = set(), [name]
        while pending:
            below = SERVICES[pending.pop()].get("depends_on", ())
            pending.extend(set(below) - seen)
            seen.update(below)
        builders = {
            n for n, s in SERVICES.items() if "build" in s and s["image"] == service["image"]
        }
        assert builders <= seen


class TestProfiles:
    def test_up_alone_is_the_whole_backend(self):
        assert {name for name, s in SERVICES.items() if "profiles" not in s} == BACKEND

    def test_the_backend_needs_nothing_of_a_profile(self):
        for name in BACKEND:
            assert set(SERVICES[name].get("depends_on", ())) <= BACKEND

    def test_the_demo_is_a_kafka_and_the_demos_services(self):
        demo = {name for name, s in SERVICES.items() if s.get("profiles") == ["demo"]}
        assert demo == {"kafka", "topics", "shop"} | {service.name for service in DEMO}

    @pytest.mark.parametrize("service", DEMO, ids=lambda service: service.name)
    def test_a_service_of_the_demo_is_who_it_is_there(self, service):
        environment = SERVICES[service.name]["environment"]
        assert environment["SERVICE_NAME"] == environment["OTEL_SERVICE_NAME"] == service.name
        assert environment["SERVICE_VERSION"] == service.version
        assert environment["OTEL_RESOURCE_ATTRIBUTES"] == f"service.version={service.version}"
        assert SERVICES[service.name]["command"] == [f"{service.name}.py"]


class TestQueue:
    def test_the_collector_finds_its_queue_where_it_looks_for_it(self):
        collector = SERVICES["collector"]
        place = collector["environment"]["COLLECTOR_QUEUE_DIR"]
        assert f"collector-queue:{place}" in collector["volumes"]

    def test_the_volume_is_first_mounted_over_a_directory_that_is_open_to_it(self):
        place = SERVICES["collector"]["environment"]["COLLECTOR_QUEUE_DIR"]
        queue = SERVICES["queue"]
        assert queue["volumes"] == [f"collector-queue:{place}"]
        assert queue["entrypoint"][-1] == place
        assert SERVICES["collector"]["depends_on"]["queue"] == {"condition": COMPLETED}
        assert ("RUN", f"mkdir --parents --mode=1777 {place}") in instructions()


class TestClickHouse:
    def test_the_mounted_configuration_is_one(self):
        target = "/etc/clickhouse-server/config.d/otelope.xml"
        root = ET.parse(mounted(SERVICES["clickhouse"], target)).getroot()  # noqa: S314 - our own
        assert root.tag == "clickhouse"
        kept = {e.tag for e in root if e.tag.endswith("_log") and e.get("remove") is None}
        for each in kept:
            assert root.find(f"{each}/ttl") is not None, f"{each} would grow for ever"

    def test_it_may_open_enough_files(self):
        assert SERVICES["clickhouse"]["ulimits"]["nofile"] == {"soft": 262144, "hard": 262144}


def real_compose(*words: str, **own: str) -> subprocess.CompletedProcess[str]:
    """Compose itself; asking it for the configuration needs no engine."""
    known = {name: text for name, text in os.environ.items() if name not in sample()}
    return subprocess.run(
        ["docker", "compose", "--env-file", "/dev/null", *words],
        check=False,
        cwd=ROOT,
        env={**known, **own},
        capture_output=True,
        text=True,
        timeout=60,
    )


has_compose = pytest.mark.skipif(
    shutil.which("docker") is None or real_compose("version").returncode != 0,
    reason="Docker Compose is not installed",
)


@has_compose
class TestCompose:
    def test_says_what_to_do_without_a_password(self):
        done = real_compose("config")
        assert done.returncode != 0
        assert "copy .env.sample to .env and fill in the password" in done.stderr

    @pytest.mark.parametrize("profiles", [(), ("--profile", "demo")])
    def test_reads_what_these_tests_read(self, profiles: tuple[str, ...]):
        done = real_compose(*profiles, "config", CLICKHOUSE_PASSWORD="filled-in")
        assert done.returncode == 0, done.stderr
        read = YAML(typ="safe").load(done.stdout)["services"]
        assert set(read) == {n for n, s in SERVICES.items() if profiles or "profiles" not in s}
        for name, service in read.items():
            said = SERVICES[name].get("environment", {})
            assert service.get("environment", {}) == {key: str(text) for key, text in said.items()}
            assert service["image"] == SERVICES[name]["image"]
            assert {p["host_ip"] for p in service.get("ports", ())} <= {"127.0.0.1"}
