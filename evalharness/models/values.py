"""Templates over a request, and the secrets that a backend puts into what it sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evalharness.core.errors import UsageError
from evalharness.core.registry import suggestion
from evalharness.core.secrets import PLACEHOLDER, Redactor, resolve, spellings
from evalharness.core.templating import Template

__all__ = ["NAMES", "Secrets", "check_names", "strings_in"]

NAMES = ("messages", "prompt", "repeat", "sample_id", "sampling")
"""What a template of a request may use."""

# A value as short as "test" can stand in an answer by chance; one of this length cannot.
_SHORTEST_IN_ANSWERS = 8


def check_names(template: Template, *, place: str) -> None:
    """Raise a `UsageError` if `template` uses a name that a request does not have."""
    for name in sorted(template.names - set(NAMES)):
        raise UsageError(
            f"{place}: the template {template.source!r} uses {name!r}, which is not known here"
            f"{suggestion(name, NAMES)}; known are: {', '.join(NAMES)}"
        )


def strings_in(value: object) -> Iterator[str]:
    """All the strings in a JSON-like value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from strings_in(key)
            yield from strings_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings_in(item)


class Secrets:
    """The `${env:NAME}` placeholders in what a backend was given: resolved in it, hidden in all that leaves it."""

    def __init__(self, environ: Mapping[str, str], *written: object) -> None:
        self._environ = environ
        self.names: tuple[str, ...] = tuple(
            sorted({name for text in strings_in(written) for name in PLACEHOLDER.findall(text)})
        )
        values = [environ[name] for name in self.names if environ.get(name)]
        # A value may carry white space around the secret proper (`Bearer …`, a trailing line break).
        parts = {part for value in values for part in (value, value.strip(), *value.split())}
        self.hide = Redactor(spelling for part in parts for spelling in spellings(part))
        self._hide_long = Redactor(
            spelling for part in parts if len(part) >= _SHORTEST_IN_ANSWERS for spelling in spellings(part)
        )

    def resolve(self, value: Any) -> Any:
        """`value` with the placeholders in its strings resolved.

        Raises:
            UsageError: naming the variable, if one is not set.
        """
        if isinstance(value, str):
            return resolve(value, self._environ)
        if isinstance(value, Mapping):
            return {self.resolve(key): self.resolve(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.resolve(item) for item in value]
        return value

    def hide_in_answer(self, value: Any) -> Any:
        """`value` (text or JSON) with secrets of 8 characters and more replaced: a model may repeat what it reads."""
        if isinstance(value, str):
            return self._hide_long(value)
        if isinstance(value, Mapping):
            return {self._hide_long(str(key)): self.hide_in_answer(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide_in_answer(item) for item in value]
        return value
