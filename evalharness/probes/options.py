"""Multiple choice asked otherwise: the options in another order, or under other labels."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from evalharness.core.errors import UsageError
from evalharness.core.templating import Template
from evalharness.core.types import Json, Row

from .base import Variant

__all__ = ["LABEL_SETS", "label_variants", "order_variants"]

# As `metrics/flips.py` reads it: which of the original options stands at each place.
_ORDER = "option_order"
LABEL_SETS: Mapping[str, tuple[str, ...]] = {
    "letters": tuple("ABCDEFGHIJ"),
    "lower": tuple("abcdefghij"),
    "numbers": tuple(str(n) for n in range(1, 11)),
    "roman": ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X"),
}


def order_variants(
    task: Mapping[str, Json], n: int, *, options: str | tuple[str, ...] | None, answer: str | None
) -> list[Variant]:
    """`n` variants in which the options of each row are moved on by 1, 2 … places, the gold answer with them.

    `options` is the field that holds the list, or the fields that hold one option each; `answer` the field with the
    gold answer: an index from 0, a letter from A, or the text of an option. By default they are the one field that the
    templates of `choices` and of `target` read.

    Raises:
        UsageError: the task has no choices, or its templates do not tell the fields.
    """
    if "choices" not in task:
        raise UsageError("option_orders needs a task with choices: this one has none")
    where = options or _only_field(task.get("choices"), "options", "the options")
    gold = answer or _only_field(task.get("target"), "answer", "the gold answer")

    right = partial(_right_option, task)

    def moved(row: Row, by: int) -> Row | None:
        texts = _options(row, where)
        by %= len(texts)
        if by == 0:
            return None
        order = [(place - by) % len(texts) for place in range(len(texts))]
        new: list[Json] = [texts[i] for i in order]
        fields: dict[str, Json] = {**row.fields, _ORDER: [int(i) for i in order]}
        fields |= {where: new} if isinstance(where, str) else dict(zip(where, new, strict=True))
        fields[gold] = _moved_answer(row, gold, texts, order, right, fields)
        return dataclasses.replace(row, fields=fields)

    return [Variant(f"option_order_{k}", lambda row, fields, k=k: moved(row, k)) for k in range(1, n + 1)]  # type: ignore[misc]


def _only_field(template: Any, key: str, what: str) -> str:
    if isinstance(template, str):
        names = Template(template).names
        if len(names) == 1:
            return next(iter(names))
    raise UsageError(
        f"option_orders cannot tell which field holds {what}: the template reads none, or several; name it with "
        f"`{key}: FIELD`" + (" (or, with one option a field, a list of the fields)" if key == "options" else "")
    )


def _options(row: Row, where: str | tuple[str, ...]) -> list[Json]:
    names = (where,) if isinstance(where, str) else where
    for name in names:
        if name not in row.fields:
            raise UsageError(f"option_orders: the row has no field {name!r}")
    value = row.fields[where] if isinstance(where, str) else [row.fields[name] for name in where]
    if not isinstance(value, list | tuple) or len(value) < 2:
        raise UsageError(f"option_orders: the field {where!r} must hold a list of two or more options")
    return list(value)


def _moved_answer(
    row: Row,
    gold: str,
    texts: Sequence[Json],
    order: Sequence[int],
    right: Callable[[Mapping[str, Json]], int | None],
    moved: Mapping[str, Json],
) -> Json:
    """The gold answer of the row once the options stand in `order`, in the form that it had.

    What may be read in two ways ("A" among the options A, B, C; 3 among 3, 4, 5, 6) is read in the way in which the
    task's own target, rendered with the `moved` fields, still means the same option: `right` tells which it means.
    """
    value = row.fields.get(gold)
    forms = list(dict.fromkeys(_forms(value, texts, order)))
    if not forms:
        raise UsageError(
            f"option_orders: the answer {str(value)[:60]!r} under {gold!r} is no option of the row: it must be an "
            f"index from 0 to {len(texts) - 1}, a letter from A to {chr(ord('A') + len(texts) - 1)}, or the text of an "
            "option"
        )
    if len(forms) > 1:
        before = right(row.fields)
        wanted = None if before is None else order.index(before)
        forms.sort(key=lambda form: right({**moved, gold: form}) != wanted)  # stable: the first that keeps the option
    return forms[0]


def _forms(value: Json, texts: Sequence[Json], order: Sequence[int]) -> Iterator[str | int | float]:
    """What the answer `value` becomes: as the text of an option, an index, and a letter, as far as it can be each."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return
    if value in texts:
        yield value
    if isinstance(value, str):
        if value.isdecimal() and int(value) < len(texts):
            yield str(order.index(int(value)))
        if len(value) == 1 and 0 <= ord(value.upper()) - ord("A") < len(texts):
            first = ord("A") if value.isupper() else ord("a")
            yield chr(first + order.index(ord(value) - first))
    elif float(value).is_integer() and 0 <= value < len(texts):  # a column with gaps has 2.0
        yield order.index(int(value))


def _right_option(task: Mapping[str, Json], fields: Mapping[str, Json]) -> int | None:
    """The place of the option that the task's target means, of a row with these fields; None where it does not tell."""
    choices: Any = task.get("choices")
    try:
        listed: Any = (
            Template(choices).render(fields)
            if isinstance(choices, str)
            else [Template(str(choice)).render(fields) for choice in choices]
        )
        text = str(Template(str(task.get("target"))).render(fields))
    except UsageError:
        return None
    shown = [str(each) for each in listed] if isinstance(listed, list | tuple) else []
    if text in shown:
        return shown.index(text)
    return int(text) if text.isascii() and text.isdigit() and int(text) < len(shown) else None


def label_variants(
    task: Mapping[str, Json], label_sets: Sequence[str], *, answer: str | None, base: Path
) -> list[Variant]:
    """A variant for each set of labels, in the place of those that the prompt shows and `choices` lists.

    Raises:
        UsageError: the choices are no labels that stand in the prompt, or the examples would keep the old ones.
    """
    choices = task.get("choices")
    if not isinstance(choices, list | tuple) or not all(isinstance(choice, str) for choice in choices):
        raise UsageError('option_labels needs choices that are labels: `choices: ["A", "B", "C", "D"]`')
    old = [str(choice) for choice in choices]
    source = _prompt_text(task, base)
    if any(len(label) > 4 or "{" in label for label in old) or not all(_label(x).search(source) for x in old):
        raise UsageError(
            f"option_labels finds no {', '.join(old)} at the beginning of options in the prompt ('A. …', '(A) …'); "
            "give the other prompts under `prompts`, each with its choices"
        )
    gold = answer
    if gold is None and isinstance(task.get("target"), str):
        names = Template(str(task["target"])).names
        gold = next(iter(names)) if len(names) == 1 else None
    variants = []
    for name in label_sets:
        new = dict(zip(old, LABEL_SETS[name], strict=False))
        if len(new) < len(old):
            raise UsageError(
                f"option_labels: {name} has {len(LABEL_SETS[name])} labels, and there are {len(old)} choices"
            )
        if new == {label: label for label in old}:
            continue
        changed: dict[str, Json] = {"prompt": _relabelled(source, new), "choices": list(new.values())}
        variants.append(Variant(f"option_labels_{name}", _relabel(gold, new), changed))
    return variants


def _prompt_text(task: Mapping[str, Json], base: Path) -> str:
    if "few_shot" in task:
        raise UsageError(
            "option_labels does not go with few_shot: the worked examples would keep the old labels; give other "
            "prompts under `prompts`"
        )
    prompt = task.get("prompt")
    if isinstance(prompt, Mapping):
        path = base / str(prompt.get("file"))
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"option_labels: the prompt file {path} cannot be read: {error}") from error
    if not isinstance(prompt, str):
        raise UsageError("option_labels needs a task with `prompt`; give other messages under `prompts`")
    return prompt


def _label(label: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w{{]){re.escape(label)}(?=[.):])")


def _relabelled(source: str, new: Mapping[str, str]) -> str:
    either = "|".join(re.escape(label) for label in sorted(new, key=len, reverse=True))
    return re.sub(rf"(?<![\w{{])({either})(?=[.):])", lambda found: new[found.group(1)], source)


def _relabel(gold: str | None, new: Mapping[str, str]) -> Any:
    def rewrite(row: Row, fields: tuple[str, ...]) -> Row:
        value = row.fields.get(gold) if gold is not None else None
        if not isinstance(value, str) or value not in new:
            return row  # an index, or a text that the template turns into one
        return dataclasses.replace(row, fields={**row.fields, str(gold): new[value]})

    return rewrite
