"""What all tests share: a cache of their own, and no silent skip where CI has what a test needs."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test wraps its lines by the terminal that the tests were started in, or by what an earlier one left behind."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(autouse=True)
def own_cache(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep tests out of the user's cache, but for those that fetch real models, which are made once and kept there."""
    if request.node.get_closest_marker("real_cache") is None:
        monkeypatch.setenv("EVALHARNESS_CACHE", str(tmp_path_factory.getbasetemp() / "evalharness-cache"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """CI has a browser, the package index and others' servers: a test skipped there for want of them hides a fault."""
    report = yield
    needed = any(item.get_closest_marker(name) for name in ("browser", "real_cache", "served"))
    if report.skipped and needed and os.environ.get("EVALHARNESS_CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped where it must run: {report.longrepr}"
    return report
