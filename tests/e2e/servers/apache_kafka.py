"""Apache Kafka, one broker in KRaft mode; Maven fetches its jars once per version."""

from __future__ import annotations

import os
import shutil
import string
import subprocess
import tempfile

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.running.ports import free_port
from tests.e2e.servers.cache import cached
from tests.e2e.servers.processes import Missing, running


HERE = Path(__file__).parent / "kafka"
POM = HERE / "pom.xml"
# Any 16 bytes in Kafka's base64 will do: the cluster has one member.
CLUSTER_ID = "b3RlbG9wZS1pbi10ZXN0cw"


def jars() -> Path:
    """
    The folder with Kafka's jars, fetched if need be (44 MB).

    Raises:
        Missing: Java or Maven are.
    """
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise Missing(
                f"Apache Kafka needs {program}: apt-get install default-jre-headless maven"
            )
    return cached("kafka", [POM], _fetch)


def _fetch(scratch: Path) -> Path:
    shutil.copy(POM, scratch)
    fetched = subprocess.run(
        ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"],
        cwd=scratch,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if fetched.returncode:
        raise RuntimeError(f"mvn could not fetch Kafka:\n{fetched.stdout}{fetched.stderr}")
    return scratch / "lib"


@contextmanager
def apache_kafka() -> Iterator[str]:
    """A fresh broker; its address, ``127.0.0.1:port``."""
    classpath = f"{jars()}/*"
    with tempfile.TemporaryDirectory(prefix="otelope-kafka-") as name:
        directory = Path(name)
        port = free_port()
        template = string.Template((HERE / "server.properties").read_text(encoding="utf-8"))
        properties = directory / "server.properties"
        properties.write_text(
            template.substitute(port=port, controller_port=free_port(), directory=directory),
            encoding="utf-8",
        )
        # A quick start counts more than throughput: -XX:TieredStopAtLevel=1 saves 2 s of CPU.
        java = ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", classpath]
        formatted = ["format", "--standalone", "-t", CLUSTER_ID, "-c", str(properties)]
        subprocess.run(
            [*java, "kafka.tools.StorageTool", *formatted],
            check=True,
            capture_output=True,
            cwd=directory,
        )
        with running(
            [*java, "kafka.Kafka", properties],
            log=directory / "log",
            ready="Kafka Server started",
            env=os.environ,
        ):
            yield f"127.0.0.1:{port}"
