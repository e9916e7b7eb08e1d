"""What holds for all tests: the servers, and that nothing is skipped on CI."""

from __future__ import annotations

import os

from collections.abc import Generator

import pytest


pytest_plugins = ["tests.e2e.servers.plugin"]

NOT_APPLICABLE = "Skipped: not applicable: "
ON_CI = os.environ.get("CI", "").lower() in ("1", "true")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """
    Fail a test that skips itself on CI: there, a missing server or package is a defect.

    Conditions known before it runs, `@pytest.mark.skipif`, may stand, and a combination that makes
    no sense: `pytest.skip("not applicable: …")`.
    """
    report = yield
    argued = any(item.get_closest_marker(mark) for mark in ("skip", "skipif", "xfail"))
    if ON_CI and report.skipped and not argued and NOT_APPLICABLE not in _reason(report):
        report.outcome = "failed"
        report.longrepr = f"skipped on CI: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if ON_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped on CI: {_reason(report)}"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    # pytest's form of a skip: path, line, reason.
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
