"""`${env:NAME}` placeholders: a suite carries the placeholder, and only the backend that sends it sees the secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .errors import UsageError

__all__ = ["PLACEHOLDER", "Redactor", "placeholders", "resolve"]

PLACEHOLDER = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


def placeholders(text: str) -> tuple[str, ...]:
    """The names of the environment variables that `text` asks for, in order."""
    return tuple(PLACEHOLDER.findall(text))


def resolve(text: str, environ: Mapping[str, str]) -> str:
    """`text` with each `${env:NAME}` replaced by the variable's value.

    Raises:
        UsageError: naming the variable, if it is not set or empty.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        found = environ.get(name, "")
        if not found:
            raise UsageError(f"the environment variable {name} is not set; set it: export {name}=…")
        return found

    return PLACEHOLDER.sub(value, text)


class Redactor:
    """Replaces known secrets in text that leaves the program: errors, logs, the store and the record."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # Longest first, so that a secret that contains another one is removed whole.
        self._secrets = sorted({s for s in secrets if len(s) >= 4}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[redacted]")
        return text
