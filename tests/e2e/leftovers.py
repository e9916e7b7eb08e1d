"""What a program that was told to use a temporary directory has left behind."""

from __future__ import annotations

from pathlib import Path


def processes_of(temporary: Path, *programs: str) -> list[int]:
    """The processes whose command or environment names this directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
        if f"TMPDIR={temporary}\0".encode() not in environment:
            continue
        if all(program.encode() in command for program in programs):
            found.append(int(process.name))
    return found
