from __future__ import annotations

import pytest

from evalharness.core.errors import UsageError
from evalharness.models.values import Secrets

ENVIRON = {"K": "sk-planted-0123", "SHORT": "test", "SPACED": "Bearer sk-other-4567\n", "UNUSED": "unused-secret"}


def test_placeholders_are_resolved_at_any_depth() -> None:
    secrets = Secrets(ENVIRON, {"a": ["${env:K}"]})
    assert secrets.resolve({"a": ["x ${env:K}", 3, None], "${env:K}": True}) == {
        "a": ["x sk-planted-0123", 3, None],
        "sk-planted-0123": True,
    }
    assert secrets.names == ("K",)
    with pytest.raises(UsageError, match="GONE"):
        secrets.resolve("${env:GONE}")


def test_only_the_variables_that_are_named_are_hidden() -> None:
    secrets = Secrets(ENVIRON, "${env:K}", "${env:GONE}")
    assert secrets.hide("sk-planted-0123 unused-secret test") == "[redacted] unused-secret test"


def test_the_secret_proper_is_hidden_also_without_what_stands_around_it() -> None:
    assert Secrets(ENVIRON, "${env:SPACED}").hide("got sk-other-4567.") == "got [redacted]."


def test_answers_keep_words_that_are_secrets_only_by_chance() -> None:
    secrets = Secrets(ENVIRON, "${env:K} ${env:SHORT}")
    answer = {"text": "this is a test", "n": 3, "sk-planted-0123": ["sk-planted-0123", None]}
    assert secrets.hide_in_answer(answer) == {
        "text": "this is a test",
        "n": 3,
        "[redacted]": ["[redacted]", None],
    }
    assert secrets.hide("this is a test") == "this is a [redacted]"
