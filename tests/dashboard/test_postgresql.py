"""The dashboard over a registry in PostgreSQL: the same pages, routes, refusals and attacks as over SQLite's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conftest import World, make_world
from .test_access import make_client, test_every_change_is_written_down, test_sessions_end_with_time_and_with_their_user
from .test_attacks import (
    insider,
    test_no_body_is_too_odd,
    test_no_text_of_the_registry_is_too_odd,
    test_places_that_were_made_up_are_refused,
    test_wrong_passwords_and_logouts_are_written_down,
)
from .test_pages import (
    admin,
    test_a_trend_has_the_runs_in_order_with_their_promotions,
    test_an_interval_shows_what_drifted_first,
    test_runs_are_compared_on_their_samples,
    test_runs_are_filtered,
    test_what_cannot_be_is_refused,
    test_what_is_due_is_said,
    test_what_is_not_there_is_said,
)
from .test_routes import live_ends_at_once, test_who_gets_what

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]
__all__ = ["admin", "insider", "live_ends_at_once", "make_client"]
__all__ += [
    "test_a_trend_has_the_runs_in_order_with_their_promotions",
    "test_an_interval_shows_what_drifted_first",
    "test_every_change_is_written_down",
    "test_no_body_is_too_odd",
    "test_no_text_of_the_registry_is_too_odd",
    "test_places_that_were_made_up_are_refused",
    "test_runs_are_compared_on_their_samples",
    "test_runs_are_filtered",
    "test_sessions_end_with_time_and_with_their_user",
    "test_what_cannot_be_is_refused",
    "test_what_is_due_is_said",
    "test_what_is_not_there_is_said",
    "test_who_gets_what",
    "test_wrong_passwords_and_logouts_are_written_down",
]


def database(url: str, name: str) -> str:
    """A database of its own on the server, so that two worlds do not meet."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return url.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="module")
def world(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = make_world(tmp_path_factory.mktemp("world"), url=database(postgresql, "world"))
    yield made
    made.registry.close()


@pytest.fixture(scope="module")
def odd(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    from .test_attacks import ODD

    made = make_world(tmp_path_factory.mktemp("odd"), ODD, database(postgresql, "odd"))
    yield made
    made.registry.close()
