"""Secrets: placeholders, resolved late, never shown."""

from __future__ import annotations

import base64
import json
import textwrap
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.errors import UsageError
from evalharness.core.secrets import Redactor, placeholders, resolve, sensitive_values, spellings


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


LONG = "sk-planted/0123+456 789-ABCDEF"


@pytest.mark.parametrize("before", ["", "u", "us", "use", "user:", "aladdin:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("after", ["", "\n", "--"])
def test_base64_of_a_text_around_a_secret_is_found(before: str, encode: object, after: str) -> None:
    encoded = encode(f"{before}{LONG}{after}".encode()).decode()  # type: ignore[operator]
    shown = Redactor(spellings(LONG))(f"Basic {encoded}!")
    assert "[redacted]" in shown
    # What is left of the encoding at either end stands for no whole character of the secret.
    assert len(shown) - len("Basic [redacted]!") <= len(encoded) - len(LONG) * 4 / 3 + 2


@pytest.mark.parametrize(
    "written",
    [
        "\n".join(textwrap.wrap(LONG, 7, drop_whitespace=False)),
        "\r\n    ".join(textwrap.wrap(LONG, 9, drop_whitespace=False)),
        "=\n".join(textwrap.wrap(LONG, 9, drop_whitespace=False)),  # quoted-printable
        "<br>".join(LONG),
        "<wbr/>".join(LONG),
        json.dumps("\n".join(LONG)),
        json.dumps(json.dumps("\n".join(LONG))),
        "\u200b".join(LONG),
        "\n".join(textwrap.wrap(base64.b64encode(LONG.encode()).decode(), 10)),
        "\n".join(textwrap.wrap(quote(LONG), 10)),
        " ".join(LONG.encode().hex()),
        LONG.encode().hex().upper(),
    ],
)
def test_a_secret_in_pieces_or_another_spelling_is_found(written: str) -> None:
    shown = Redactor(spellings(LONG))(f"the key {written} is wrong")
    assert shown.count("[redacted]") == 1
    assert shown.startswith("the key ")
    assert shown.endswith(" is wrong")
    for piece in ("planted", "0123", "789"):
        assert piece not in shown


def test_a_text_without_a_secret_stays_as_it_is() -> None:
    text = "\\n <br> =\n \u200b a\\\nb  c\t" * 3
    assert Redactor(spellings(LONG))(text) == text
    # Words with a blank between them are no key.
    assert Redactor(spellings("password"))("pass word") == "pass word"


def test_what_an_environment_calls_secret() -> None:
    environ = {
        **{"OPENAI_API_KEY": "sk-12345678", "db_password": "hunter22!", "GH_TOKEN": "short", "HOME": "/root/there"},
        **{"SSH_AUTH_SOCK": "/tmp/ssh-agent", "PLAIN": "nothing to hide"},
    }
    assert sensitive_values(environ) == ["sk-12345678", "hunter22!"]
