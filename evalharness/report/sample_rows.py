"""One sample and its answer as the explorer shows them: plain JSON types, texts made safe and bounded."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..core.language import t
from ..core.spool import Spool
from ..core.types import Prompt, Response
from ..metrics.states import state_of
from .text import safe

if TYPE_CHECKING:
    from ..record import SampleRow

__all__ = ["SharedTexts", "answer_entry", "sample_entry", "size_of"]

# A text longer than that is cut in the page, which says so; the record keeps it whole.
_MAX_TEXT = 20_000
# A text shorter than that is not worth a reference.
_SHARED = 200
# What a row takes beside its texts.
_ROW_CHARS = 200


class SharedTexts:
    """Texts that most samples of a task on a model share: few-shot preambles, system messages.

    They stand in the page once, and are not searched: they would be found in all samples or in none.
    """

    def __init__(self, table: Spool[str], places: dict[bytes, int]) -> None:
        self._table = table
        self._places = places
        self._common: set[bytes] = set()
        self.preamble = ""

    def learn(self, prompts: Iterable[Prompt]) -> None:
        """Look through all prompts once, before any of them is written."""
        n_texts, n, first, last = 0, 0, "", ""
        turns: Counter[bytes] = Counter()
        for prompt in prompts:
            n += 1
            if isinstance(prompt, str):
                first, last = (min(first, prompt), max(last, prompt)) if n_texts else (prompt, prompt)
                n_texts += 1
            else:
                turns.update({_key(turn.content) for turn in prompt if len(turn.content) >= _SHARED})
        self._common = {key for key, count in turns.items() if count > 1 and 2 * count >= n}
        self.preamble = _beginning(first, last) if n_texts > 1 else ""

    def place(self, text: str) -> int:
        """Where `text` stands in the table; it is put there if it is new."""
        key = _key(text)
        if key not in self._places:
            self._places[key] = len(self._table)
            self._table.append(_cut(text))
        return self._places[key]

    def place_of_turn(self, text: str) -> int | None:
        """Where a turn stands that most samples share; None for one that they do not."""
        return self.place(text) if len(text) >= _SHARED and _key(text) in self._common else None


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _beginning(first: str, last: str) -> str:
    """The longest common beginning of two texts that ends a line, "" if it is short.

    What the first and the last one in the order of text share, all between them share.
    """
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    # At the end of a line, so that what is left of a sample begins with one.
    end = first.rfind("\n", 0, same) + 1
    return first[:end] if end >= _SHARED else ""


def sample_entry(row: SampleRow, scores: Sequence[float], shared: SharedTexts) -> dict[str, Any]:
    """The sample of `row` with its answer and figures; keys whose value would be nothing are left out."""
    sample, request, response = row.sample, row.request, row.response
    continuations = request.continuations or sample.choices
    optional: Mapping[str, Any] = {
        "r": request.repeat,
        "g": _cut(sample.target) if sample.target is not None else None,
        "f": [_cut(text) for text in sample.references],
        "ch": [_cut(text) for text in continuations],
        "j": _judged(response),
        "fr": safe(response.finish_reason or ""),
        "re": response.n_retries,
        "st": int(row.from_store),
        "gr": [[safe(k), safe(str(v))] for k, v in sample.groups.items()],
        "cl": safe(sample.cluster) if sample.cluster is not None else None,
        "at": safe(response.created_utc[:19]),
        "k": response.key[:16],
    }
    return {
        "id": safe(sample.id),
        "c": not isinstance(request.prompt, str),
        "p": _prompt(request.prompt, shared),
        "sc": [_number(score) for score in scores],
        **answer_entry(response),
        **{key: value for key, value in optional.items() if value not in (None, "", [], 0)},
    }


def answer_entry(response: Response) -> dict[str, Any]:
    """What came back: state, texts, tokens, time and cost."""
    meta = response.meta or {}
    texts: Mapping[str, Any] = {"x": response.text, "a": response.answer, "e": response.error}
    # An empty output is an output.
    entry: dict[str, Any] = {key: _cut(text) for key, text in texts.items() if text is not None}
    optional: Mapping[str, Any] = {
        "h": _cut(_plain(meta["reasoning_content"])) if meta.get("reasoning_content") else None,
        "tc": _tool_calls(meta.get("tool_calls")),
        "ll": [[_number(x.total), x.n_tokens, int(x.is_greedy)] for x in response.loglikelihoods],
        "lp": [[safe(label), _number(p)] for label, p in response.label_probabilities.items()],
        "ti": response.input_tokens,
        "to": response.output_tokens,
        "tr": _count(meta.get("reasoning_tokens")),
        "tk": _count(meta.get("cached_tokens")),
        # Below a microsecond a time is noise.
        "la": _number(None if response.latency_s is None else round(response.latency_s, 6)),
        "co": _number(meta.get("cost_usd")),
    }
    entry |= {key: value for key, value in optional.items() if value not in (None, "", [])}
    return {"s": state_of(response), **entry}


def size_of(entry: Mapping[str, Any]) -> int:
    """About how many characters an entry takes in the page."""
    texts = sum(len(entry[key]) for key in ("x", "a", "e", "g", "h") if key in entry)
    lists = sum(len(text) for key in ("f", "ch", "tc") for text in entry.get(key, ()))
    prompt = sum(len(part) if isinstance(part, str) else _turn_size(part) for part in entry.get("p", ()))
    judged = sum(len(cell or "") for verdict in entry.get("j", ()) for cell in verdict)
    baseline = size_of(entry["b"]) if "b" in entry else 0
    return texts + lists + prompt + judged + baseline + _ROW_CHARS


def _turn_size(part: Any) -> int:
    return len(part[1]) if isinstance(part, list) and isinstance(part[1], str) else 4


def _prompt(prompt: Prompt, shared: SharedTexts) -> list[Any]:
    """[text], [place of the preamble, the rest], or a [role, text or place] for each turn."""
    if isinstance(prompt, str):
        if shared.preamble and prompt.startswith(shared.preamble):
            return [shared.place(shared.preamble), _cut(prompt[len(shared.preamble) :])]
        return [_cut(prompt)]
    turns: list[Any] = []
    for turn in prompt:
        place = shared.place_of_turn(turn.content)
        turns.append([safe(turn.role), _cut(turn.content) if place is None else place])
    return turns


def _tool_calls(given: Any) -> list[str]:
    """`name(arguments)` of each call, as OpenAI's replies hold them; what has another shape is shown as JSON."""
    found = []
    for call in given if isinstance(given, list) else [given] if given else []:
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping) and "name" in function:
            found.append(_cut(f"{function['name']}({_plain(function.get('arguments') or '')})"))
        else:
            found.append(_cut(_plain(call)))
    return found


def _judged(response: Response) -> list[list[str | None]]:
    """Figure, judge, what it said and why, of each verdict on the response."""
    judged: Any = response.meta.get("judged") or {}
    return [
        [safe(figure), safe(_asked(verdict)), safe(_said(verdict)), _cut(_why(verdict))]
        for figure, found in judged.items()
        for verdict in found["verdicts"]
    ]


def _asked(verdict: Mapping[str, Any]) -> str:
    order = {"ab": t(" · as A"), "ba": t(" · as B")}.get(verdict["order"] or "", "")
    again = f" · {verdict['repeat'] + 1}" if verdict["repeat"] else ""
    return f"{verdict['model']}{again}{order}"


def _said(verdict: Mapping[str, Any]) -> str:
    if verdict["status"] != "ok":
        return str(verdict["status"])
    return str(verdict["label"]) if verdict["label"] is not None else f"{verdict['value']:g}"


def _why(verdict: Mapping[str, Any]) -> str:
    return str(verdict.get("explanation") or verdict["reason"] or "")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _cut(text: str) -> str:
    if len(text) <= _MAX_TEXT:
        return safe(text)
    return safe(text[:_MAX_TEXT]) + t("\n… %(n)s more characters are in the record", n=f"{len(text) - _MAX_TEXT:,}")


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _number(value: Any) -> float | str | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
        return None
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞"
    return int(value) if value == int(value) and abs(value) < 2**53 else value
