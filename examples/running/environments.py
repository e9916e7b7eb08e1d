"""What the programs of an example find in their environment."""

from __future__ import annotations

import os
import sys

from importlib.metadata import entry_points
from pathlib import Path


def plain(**own: str) -> dict[str, str]:
    """The environment of this process, without what is meant for other programs."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "OTELOPE_"))
    }
    # Nothing here leaves the machine, so no proxy has a say in it.
    return {**inherited, "NO_PROXY": "*", "no_proxy": "*", "PYTHONUNBUFFERED": "1", **own}


def instrumented(name: str, version: str, endpoint: str, **own: str) -> dict[str, str]:
    """
    The environment of a service under `opentelemetry-instrument`.

    Args:
        name, version: The service's.
        endpoint: Where it sends its telemetry to, OTLP over gRPC.
        own: What else it needs, or needs otherwise.
    """
    settings = {
        "OTEL_SERVICE_NAME": name,
        "OTEL_RESOURCE_ATTRIBUTES": f"service.version={version}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        # Also installed here, for other tests; what they cost the start-up is theirs.
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(_instrumentations_of_others()),
        # Somebody is watching.
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTELOPE_EXPORT_INTERVAL": "0.2",
    }
    return plain(**{**settings, **own})


def instrument() -> Path:
    """
    The program `opentelemetry-instrument` of this Python's environment.

    Raises:
        FileNotFoundError: It is not installed.
    """
    program = Path(sys.executable).with_name("opentelemetry-instrument")
    if not program.exists():
        raise FileNotFoundError(f"{program} is not there: `make demo` sets everything up.")
    return program


def _instrumentations_of_others() -> list[str]:
    points = entry_points(group="opentelemetry_instrumentor")
    return sorted({point.name for point in points if not point.name.startswith("otelope_")})
