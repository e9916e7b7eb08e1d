"""On CI nothing is skipped in silence, and what belongs together stays so."""

from __future__ import annotations

import subprocess
import sys

from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]


def outcome(tmp_path: Path, source: str, ci: str) -> str:
    test = tmp_path / "test_example.py"
    test.write_text(source, encoding="utf-8")
    options = ["-p", "tests.conftest", "--rootdir", tmp_path, "-c", "/dev/null", "-rA"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, test],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": "", "CI": ci},
    )
    return done.stdout


AT_RUN_TIME = "import pytest\n\ndef test_it():\n    pytest.skip('no server')\n"
IN_A_FIXTURE = (
    "import pytest\n\n@pytest.fixture\ndef server():\n    pytest.skip('no server')\n\n"
    "def test_it(server): ...\n"
)
AT_IMPORT = "import pytest\n\npytest.importorskip('no_such_server')\n\ndef test_it(): ...\n"
ARGUED = (
    "import pytest\n\n@pytest.mark.skipif(True, reason='another platform')\ndef test_it(): ...\n"
)
NO_SENSE = "import pytest\n\ndef test_it():\n    pytest.skip('not applicable: no batches')\n"
EXPECTED = "import pytest\n\n@pytest.mark.xfail\ndef test_it():\n    assert False\n"


@pytest.mark.parametrize("source", [AT_RUN_TIME, IN_A_FIXTURE, AT_IMPORT])
def test_a_missing_server_or_package_fails_on_ci_only(tmp_path: Path, source: str):
    said = outcome(tmp_path, source, ci="true")
    assert "skipped on CI" in said
    assert "1 error" in said or "1 failed" in said
    assert "1 skipped" in outcome(tmp_path, source, ci="")


def test_a_condition_with_its_reason_may_stand(tmp_path: Path):
    assert "1 skipped" in outcome(tmp_path, ARGUED, ci="true")
    assert "1 skipped" in outcome(tmp_path, NO_SENSE, ci="true")
    assert "1 xfailed" in outcome(tmp_path, EXPECTED, ci="true")


@pytest.mark.xdist_group("one")
def test_a_group_of_tests_has_one_worker(request: pytest.FixtureRequest):
    """What a group shares, such as a fixture of 40 s, is else made once for each worker."""
    grouped = request.config.getoption("loadgroup", default=False)
    assert request.node.nodeid.endswith("@one") is grouped
