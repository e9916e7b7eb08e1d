"""A browser, and an `otelope up` whose pages it opens."""

from __future__ import annotations

import os
import shutil

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.collector.running import Running, running


# Chromium refuses to be root in its sandbox; and whatever it would tell its makers stays here.
OPTIONS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",  # containers have little of it
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]


# On a busy machine; what is there is not waited for.
_PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=program, args=OPTIONS)
        yield chromium
        chromium.close()


class Viewer:
    """
    A page of a browser, at an `otelope up`.

    Args:
        daemon: Whose pages these are.
        page: Of the browser.
    """

    def __init__(self, daemon: Running, page: Page) -> None:
        self.daemon = daemon
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._said)

    def open(self, path: str = "") -> Page:
        """Open a page, by what stands behind the # of its address."""
        self.page.goto("about:blank")
        self.page.goto(f"http://localhost:{self.daemon.http_port}/#/{path}")
        return self.page

    def send(self, request: Any) -> None:
        """Export records; they are stored when this returns."""
        body = request if isinstance(request, bytes) else request.SerializeToString()
        answer = self.daemon.ask("/v1/logs", body, Content_Type="application/x-protobuf")
        assert answer.status == 200

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@contextmanager
def viewing(daemon: Running, browser: Browser) -> Iterator[Viewer]:
    """A viewer in which nothing went wrong by the end."""
    context = browser.new_context(timezone_id="UTC", viewport={"width": 1400, "height": 900})
    context.set_default_timeout(_PATIENCE_MS)
    try:
        viewer = Viewer(daemon, context.new_page())
        yield viewer
        assert viewer.complaints == []
    finally:
        context.close()


@pytest.fixture
def viewer(browser: Browser, tmp_path: Path) -> Iterator[Viewer]:
    """A viewer of an empty store."""
    with running(tmp_path / "up") as daemon, viewing(daemon, browser) as opened:
        yield opened
