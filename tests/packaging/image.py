"""A Dockerfile's stages, made without a container engine: their steps run in a directory."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from dockerfile_parse import DockerfileParser


ROOT = Path(__file__).parents[2]
_ABSOLUTE = re.compile(r"(?<![\w./])/(?=\w)")
# Of the environment of the tests.
_OURS = ("COVERAGE", "OTEL", "PYTEST", "PYTHON", "VIRTUAL_ENV")
_SECONDS_FOR_A_STEP = 300


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's, each as its word and what follows."""
    file = io.BytesIO((ROOT / "Dockerfile").read_bytes())
    parsed = DockerfileParser(fileobj=file).structure
    return [(i["instruction"], i["value"]) for i in parsed if i["instruction"] != "COMMENT"]


@dataclass
class Stage:
    """What a stage says of itself."""

    name: str
    base: str
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str = "/"
    said: Mapping[str, str] = field(default_factory=dict)

    def words(self, instruction: str) -> list[str]:
        """Those of an instruction that is written as JSON, such as ``ENTRYPOINT``."""
        words: list[str] = json.loads(self.said[instruction])
        return words


class Images:
    """
    The stages of the Dockerfile, made.

    The stage at work always stands in the same directory, as it would in `/`: what one stage
    installs is found by the next, which copies it, under the same path. Of the base image there
    is a new virtual environment, in place of the image's Python.

    Args:
        directory: Where they stand; empty.
    """

    def __init__(self, directory: Path) -> None:
        self._root = directory / "root"
        self._finished = directory / "finished"
        self._finished.mkdir()
        self.stages: dict[str, Stage] = {}
        stage: Stage | None = None
        for instruction, value in instructions():
            if instruction == "FROM":
                self._finish(stage)
                stage = self._begin(value)
            else:
                assert stage, f"{instruction} before FROM"
                stage = self._step(stage, instruction, value)
        self._finish(stage)

    @contextmanager
    def run_in(self, name: str) -> Iterator[Stage]:
        """Put an image where it was made; `run` runs in it."""
        (self._finished / name).rename(self._root)
        try:
            yield self.stages[name]
        finally:
            self._root.rename(self._finished / name)

    def command(self, words: list[str]) -> list[str]:
        """A command of an image, as it is to be found here."""
        return [self.here(word) for word in words]

    def environment(self, stage: Stage, **own: str) -> dict[str, str]:
        """What a program of an image finds; of this process's, what tells the way to packages."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith(_OURS)}
        # As in the base image, and behind it what a shell needs of this machine.
        path = {"PATH": f"{self._root}/usr/local/bin:{os.defpath}"}
        return {**kept, **path, **stage.environment, **own}

    def here(self, text: str) -> str:
        """A text with paths of the image as paths of this machine."""
        return _ABSOLUTE.sub(f"{self._root}/", text)

    def path(self, name: str) -> Path:
        """A path of the image that is at work."""
        return self._root / name.lstrip("/")

    def _begin(self, value: str) -> Stage:
        base, _as, name = value.split()
        before = self.stages.get(base)
        if before:
            shutil.copytree(self._finished / base, self._root, symlinks=True)
            return replace(before, name=name, base=base)
        python = self._root / "usr/local"
        subprocess.run([sys.executable, "-m", "venv", python], check=True)
        return Stage(name, base)

    def _finish(self, stage: Stage | None) -> None:
        if stage:
            self._root.rename(self._finished / stage.name)
            self.stages[stage.name] = stage

    def _step(self, stage: Stage, instruction: str, value: str) -> Stage:
        if instruction == "RUN":
            self._run(stage, value)
        elif instruction == "COPY":
            self._copy(stage, value)
        elif instruction == "WORKDIR":
            self.path(value).mkdir(parents=True, exist_ok=True)
            return replace(stage, directory=value)
        elif instruction == "ENV":
            return replace(stage, environment=self._with(stage, value))
        return replace(stage, said={**stage.said, instruction: value})

    def _with(self, stage: Stage, value: str) -> dict[str, str]:
        now = self.environment(stage)
        new = dict(word.split("=", 1) for word in shlex.split(value))
        expanded = {
            name: re.sub(r"\$(\w+)", lambda found: now[found[1]], self.here(text))
            for name, text in new.items()
        }
        return {**stage.environment, **expanded}

    def _run(self, stage: Stage, value: str) -> None:
        done = subprocess.run(
            ["sh", "-ec", self.here(value)],
            check=False,
            cwd=self.path(stage.directory),
            env=self.environment(stage),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS_FOR_A_STEP,
        )
        assert done.returncode == 0, f"RUN {value}\n{done.stdout}{done.stderr}"

    def _copy(self, stage: Stage, value: str) -> None:
        options = [word for word in value.split() if word.startswith("--")]
        *sources, target = [word for word in value.split() if not word.startswith("--")]
        origin = ROOT
        for option in options:
            name, _, whence = option.partition("=")
            assert name == "--from", option
            origin = self._finished / whence
        into = self.path(os.path.join(stage.directory, target))  # noqa: PTH118 - "./" counts
        for source in sources:
            found = origin / source.lstrip("/")
            if found.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(found, into, symlinks=True, ignore=ignored, dirs_exist_ok=True)
            else:
                file = into / found.name if target.endswith("/") else into
                file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(found, file)
