"""Secrets: placeholders, resolved late, never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.errors import UsageError
from evalharness.core.secrets import Redactor, placeholders, resolve


def test_placeholders_in_order() -> None:
    assert placeholders("a ${env:A} ${env:B_2}${env:A} ${vars.x} ${env:1} $env:C") == ("A", "B_2", "A")


def test_resolve_replaces_all_and_nothing_else() -> None:
    assert resolve("Bearer ${env:A}-${env:B}${vars.x}", {"A": "1", "B": "${env:A}"}) == "Bearer 1-${env:A}${vars.x}"


@pytest.mark.parametrize("environ", [{}, {"KEY": ""}])
def test_an_unset_or_empty_variable_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="the environment variable KEY is not set; set it: export KEY=…"):
        resolve("${env:KEY}", environ)


def test_the_redactor_removes_longer_secrets_first() -> None:
    redact = Redactor(["secret", "secret-and-more", "abc"])
    assert redact("secret-and-more, secret") == "[redacted], [redacted]"
    # Three letters are no secret, and would blot out half of a text.
    assert redact("abc") == "abc"


@given(st.lists(st.text(min_size=4, max_size=12), max_size=4), st.text())
def test_no_secret_survives(secrets: list[str], text: str) -> None:
    secrets = [s for s in secrets if "[" not in s and "]" not in s and not set(s) <= set("[redacted]")]
    shown = Redactor(secrets)(text + "".join(secrets))
    assert all(secret not in shown for secret in secrets)
