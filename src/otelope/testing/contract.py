"""The contract: what every adapter must do, whatever its library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from otelope.testing.chaining import Chaining
from otelope.testing.delivering import Delivering
from otelope.testing.driver import Case, Driver
from otelope.testing.sending import Sending


class Contract(Sending, Delivering, Chaining):
    """
    All scenarios, to be inherited by a test class that names its cases.

    A scenario cannot be replaced: what an adapter may redefine is no contract. In what libraries
    differ, their `Features` say.

    Example::

        class TestNats(Contract):
            cases = [
                Case("callback", Features("nats"), lambda request: Nats("callback")),
                Case("fetch", Features("nats", polled=True), lambda request: Nats("fetch")),
            ]
    """

    cases: ClassVar[Sequence[Case]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        replaced = [name for name in vars(cls) if hasattr(Contract, name) and _is_fixed(name)]
        if replaced:
            raise TypeError(
                f"{cls.__qualname__} replaces {', '.join(replaced)}: in what the library differs, "
                "Features say"
            )

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each scenario over the cases it says something about."""
        if "driver" not in metafunc.fixturenames:
            return
        applies = getattr(metafunc.function, "applies", lambda _: True)
        metafunc.parametrize(
            "driver",
            [
                pytest.param(case.make, id=case.name, marks=case.marks)
                for case in self.cases
                if applies(case.features)
            ],
            indirect=True,
        )

    @pytest.fixture
    def driver(self, request: pytest.FixtureRequest) -> Driver:
        """The case's driver, made anew for each scenario."""
        made: Driver = request.param(request)
        return made


def _is_fixed(name: str) -> bool:
    return name.startswith("test_") or name in {"driver", "service", "pytest_generate_tests"}
