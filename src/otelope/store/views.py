"""The views as they should be, and the steps to them."""

from __future__ import annotations

import re

from collections.abc import Iterator
from dataclasses import dataclass

from otelope.store.layout import Existing, Layout, Spelling, Step


_VIEW = re.compile(
    r"CREATE MATERIALIZED VIEW IF NOT EXISTS (?P<name>\w+) TO (?P<target>\w+) AS\n"
    r"(?P<select>.*)\Z",
    re.DOTALL,
)


@dataclass(frozen=True)
class View:
    """A view as it should be: what it puts where."""

    name: str
    target: str
    select: str

    @classmethod
    def parsed(cls, statement: str) -> View | None:
        """From a statement of ``sql/schema`` without its comment; None when it makes none."""
        match = _VIEW.match(statement)
        return cls(match["name"], match["target"], match["select"]) if match else None

    def queries(self, layout: Layout) -> Iterator[str]:
        """What `steps` and `differences` ask the spelling of."""
        yield self._select(layout)

    def steps(self, layout: Layout, existing: Existing, spelt: Spelling) -> Iterator[Step]:
        """What makes it out of what there is."""
        select = self._select(layout)
        name = layout.changed(self.name)
        found = existing.get(self.name)
        if found is None:
            target = layout.full(layout.local(self.target))
            yield Step(
                f"make view {self.name}",
                f"CREATE MATERIALIZED VIEW IF NOT EXISTS {name} TO {target}\nAS {select}",
            )
        elif found.query != spelt(select):
            # Not dropped and made again: what came in between would be missing.
            yield Step(f"renew view {self.name}", f"ALTER TABLE {name} MODIFY QUERY\n{select}")

    def differences(self, layout: Layout, existing: Existing, spelt: Spelling) -> Iterator[str]:
        """What is not as it should be."""
        found = existing.get(self.name)
        if found is None:
            yield f"view {self.name} is missing"
        elif found.query != spelt(self._select(layout)):
            yield f"view {self.name} is not what this otelope makes"

    def _select(self, layout: Layout) -> str:
        logs = layout.full(layout.local("otel_logs"))
        return self.select.replace("FROM otel_logs", f"FROM {logs}")
