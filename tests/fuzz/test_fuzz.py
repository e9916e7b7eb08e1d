from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

from pathlib import Path

import pytest


ON_CI = os.environ.get("CI", "").lower() in ("1", "true")
# On CI a missing atheris is a defect, but for Pythons it has no wheels for.
NO_ATHERIS = importlib.util.find_spec("atheris") is None and (
    not ON_CI or sys.version_info < (3, 11)
)
SECONDS = 20


@pytest.mark.slow
@pytest.mark.skipif(NO_ATHERIS, reason="atheris is not installed: it has wheels for few platforms")
def test_no_message_found_in_some_seconds_breaks_the_codecs(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, Path(__file__).with_name("fuzz_codecs.py"), f"-max_total_time={SECONDS}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=10 * SECONDS,
        check=False,
    )

    assert run.returncode == 0, run.stderr[-5000:]
    assert "Done " in run.stderr  # libFuzzer's last line, with the number of messages tried
