"""The JSON interface does what its description says, whatever is asked of it."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from .conftest import World
from .test_routes import ROUTES

pytestmark = pytest.mark.slow


def test_no_request_is_too_odd(world: World) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    from evalharness.dashboard.app import make_app

    token = "k" * 32
    app = make_app(world.settings(api_token=token, token_role="admin"))
    headers = {"authorization": f"Bearer {token}", "host": "testserver"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers=headers)
    asked: list[str] = []
    for operation in schema.get_all_operations():
        ask_oddly(operation.ok(), headers, asked)
    assert len(set(asked)) == sum(route.path.startswith("/api/") for route in ROUTES) - 1  # all but the description


def ask_oddly(operation: Any, headers: dict[str, str], asked: list[str]) -> None:
    from hypothesis import HealthCheck, given, settings

    @given(case=operation.as_strategy())
    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    def examine(case: Any) -> None:
        asked.append(f"{case.method} {case.path}")
        response = case.call(headers=headers)
        assert response.status_code < 500, (case.method, case.path, response.text)

    examine()
