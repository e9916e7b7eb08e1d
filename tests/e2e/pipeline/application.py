"""An application that sends 2,000 events a second, and what becomes of them."""

from __future__ import annotations

import sys

from examples.running import environments
from tests.e2e.pipeline.backend import Backend
from tests.e2e.pipeline.load import __file__ as load


RATE = 2000
SECONDS = 8.0


class Load:
    """The application, sending to a collector."""

    def __init__(self, backend: Backend, seconds: float = SECONDS, **environment: str) -> None:
        self._backend = backend
        self._ids = backend.directory / "ids"
        settings = {
            "OTELOPE_SHUTDOWN_TIMEOUT": "60",
            "OTEL_TRACES_SAMPLER": "traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.01",
        }
        instrumented = environments.instrumented(
            "orders", "1.0", backend.endpoint, **{**settings, **environment}
        )
        command = [environments.instrument(), sys.executable, load]
        backend.processes.start(
            "load", [*command, self._ids, str(RATE), str(seconds)], instrumented, backend.directory
        )
        backend.processes.said("load", "begins", 30)

    def finish(self) -> set[str]:
        """Wait until it has sent everything and ended well; the ids of what it made."""
        assert self._backend.processes.wait_for_end("load", 120) == 0
        output = self._backend.processes.history("load")
        assert "otelope failed" not in output
        assert "dropped" not in output
        return self.ids()

    def ids(self) -> set[str]:
        """The ids of what it made."""
        return set(self._ids.read_text(encoding="ascii").split())


def settle(backend: Backend, made: set[str]) -> None:
    """Wait until all that was made is stored, each once however often it came."""

    def stored() -> set[str]:
        return {row[0] for row in backend.rows("SELECT DISTINCT id FROM envelopes")}

    backend.processes.wait_for(
        lambda: made <= stored() or None, f"{len(made)} envelopes in ClickHouse", 60
    )
    ((rows, copies),) = backend.rows(
        "SELECT count(), count() - uniqExact(LogAttributes['otelope.envelope.id'])"
        " FROM otel_logs WHERE EventName = 'otelope.envelope'"
    )
    lost = len(made - stored())
    print(f"{len(made)} made, {lost} lost; {rows} rows, {copies} of them copies")
    # What came twice is read once.
    ((read,),) = backend.rows("SELECT count() FROM envelopes FINAL")
    assert int(read) == len(stored())
    ((some,),) = backend.rows("SELECT any(id) FROM envelopes")
    assert backend.ask("tree", some)["counts"]["envelopes"] == 1
