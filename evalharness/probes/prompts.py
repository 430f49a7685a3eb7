"""The same question by another template, or after the same examples in another order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import factorial
from pathlib import Path
from typing import Any

from evalharness.core.errors import UsageError
from evalharness.core.types import Json, Row

from .base import Variant

__all__ = ["few_shot_variants", "prompt_variants"]

_TEXTS = ("prompt", "classify", "perplexity")
# What another prompt may bring along, since it belongs to it.
_ALLOWED = frozenset({*_TEXTS, "messages", "chat", "choices", "delimiter", "target", "reference"})
_FILES = (".j2", ".jinja", ".jinja2", ".txt", ".md")


def prompt_variants(task: Mapping[str, Json], prompts: Sequence[str | Mapping[str, Json]], base: Path) -> list[Variant]:
    """A variant for each other template: a file (`other.j2`), the template itself, or the keys that it replaces.

    `{name: terse, prompt: …, choices: […]}` gives it a name and may replace all that belongs to the prompt.

    Raises:
        UsageError: a file cannot be read, or a key is none that a prompt brings along.
    """
    found: dict[str, dict[str, Json]] = {}
    for number, entry in enumerate(prompts, start=1):
        if isinstance(entry, str):
            name, keys = _of_text(task, entry, number, base)
        else:
            name, keys = str(entry.get("name", f"prompt_{number}")), {k: v for k, v in entry.items() if k != "name"}
            wrong = sorted(set(keys) - _ALLOWED)
            if wrong or not keys:
                raise UsageError(
                    f"prompts[{number - 1}] {'replaces ' + ', '.join(wrong) if wrong else 'replaces nothing'}; it may "
                    f"have a name and {', '.join(sorted(_ALLOWED))}"
                )
        if name in found:
            raise UsageError(f"two prompts are called {name!r}; give one a name: {{name: …, prompt: …}}")
        found[name] = keys
    return [Variant(name, _as_it_is, keys) for name, keys in found.items()]


def _of_text(task: Mapping[str, Json], entry: str, number: int, base: Path) -> tuple[str, dict[str, Json]]:
    own = next((key for key in _TEXTS if key in task), None)
    if own is None:
        raise UsageError(
            f"prompts[{number - 1}]: the task asks by messages; write the other ones as {{messages: [{{role: user, "
            "content: …}]}"
        )
    if "{{" in entry or not entry.endswith(_FILES):
        return f"prompt_{number}", {own: entry}
    path = base / entry
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError(f"prompts[{number - 1}]: the file {entry!r} cannot be read: {reason}") from error
    # The text itself, not its name: what the record keeps is what was asked.
    return f"prompt_{_plain(path.stem)}", {own: text}


def _plain(stem: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in stem)


def few_shot_variants(task: Mapping[str, Json], n: int) -> list[Variant]:
    """`n` variants with the worked examples in other orders: reversed, then shuffled.

    Raises:
        UsageError: the task has no examples, or one only, or not so many orders.
    """
    few_shot: Any = task.get("few_shot")
    if not isinstance(few_shot, Mapping) or few_shot.get("n", 0) < 2:
        raise UsageError("few_shot_orders needs a task with few_shot: {n: 2} or more: it has no examples to reorder")
    most = factorial(min(few_shot["n"], 5)) - 1
    if n > most:
        raise UsageError(
            f"few_shot_orders: {few_shot['n']} examples have {most} other order{'' if most == 1 else 's'}, not {n}; "
            "lower it, or show more examples"
        )
    own = few_shot.get("order", 0)
    others = [order for order in range(n + 1) if order != own][:n]
    return [
        Variant(f"few_shot_order_{number}", _as_it_is, {"few_shot": {**few_shot, "order": order}})
        for number, order in enumerate(others, start=1)
    ]


def _as_it_is(row: Row, fields: tuple[str, ...]) -> Row:
    return row
