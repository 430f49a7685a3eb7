"""Needle in a haystack: does a model find one sentence in a long text, wherever it stands."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from evalharness.core.errors import MissingExtraError, Place, UsageError
from evalharness.core.location import locate
from evalharness.core.types import Json, Row
from evalharness.core.words import pieces

from .base import Part
from .corpora import read_plain
from .haystack import Counter, fill, placed, sentences_of

__all__ = ["Needle"]

_KEYS = """
amber anchor badger beacon bishop canyon cedar cobalt comet copper coral cricket dahlia ember falcon
garnet ginger glacier granite hazel heron indigo ivory jasper juniper kestrel lantern lemon lilac
linen lotus magnet maple marble meadow mercury mosaic nectar nickel nutmeg onyx opal orchid otter
pepper pewter plover quartz raven saffron salmon scarlet sparrow spruce sycamore thistle topaz tulip
umber velvet walnut willow zephyr
"""
_PROMPT = """\
{{ context }}

{{ question }}
{{ cue }}"""
_SPREAD = "spread"
_SHORT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Needle:
    """Finds sentences hidden in long texts: by length of the text and depth in it.

    Each sample is a text of its own, with a sentence such as "The secret code of the amber falcon is 482913." between
    two others, and asks for the code. Found or not is told by the code alone; the report draws the shares as a map of
    length by depth. `needles` hides further codes of other keys in the same text; `ask: all` asks for all of them.

    Options:
        lengths: lengths of the whole prompt, in `length_in`.
        depths: how far from the beginning the sentence stands, in per cent.
        samples: how many texts for each length and depth.
        length_in: words (in Chinese, Japanese or Thai each character is one), or tokens of `tokenizer`.
        tokenizer: folder of a checkpoint with the tokenizer (from the suite's folder), catalog:NAME, or a name that is
            in the local cache of the hub.
        haystack: a file of plain text to hide it in (default: neutral sentences of our own, in English).
        needles: how many codes a text holds.
        ask: for one of them, the one at the depth; or for all, which are then spread over the text.
        threshold: the share that must be found for a length to count as effective.
        prompt: a template of your own with {{ context }}, {{ question }} and {{ cue }}, the beginning of the answer.
        chat: apply the model's chat template.
        max_tokens: how long an answer may be, for each code asked for.
        seed: seed of all that is drawn.
    """

    lengths: tuple[int, ...] = (512, 1024, 2048)
    depths: tuple[float, ...] = (0, 25, 50, 75, 100)
    samples: int = 8
    length_in: Literal["words", "tokens"] = "words"
    tokenizer: str | None = None
    haystack: str | None = None
    needles: int = 1
    ask: Literal["one", "all"] = "one"
    threshold: float = 0.85
    prompt: str = _PROMPT
    chat: bool = False
    max_tokens: int = 24
    seed: int = 0

    name: ClassVar[str] = "needle"
    question: ClassVar[str] = "long context"
    description: ClassVar[str] = "share of hidden sentences found, by length of the text and depth in it"

    def __post_init__(self) -> None:
        for option, values, low, high in (("lengths", self.lengths, 64, 10_000_000), ("depths", self.depths, 0, 100)):
            if not values or len(set(values)) < len(values) or not all(low <= value <= high for value in values):
                raise UsageError(f"{option} must be different numbers, {low:,} to {high:,}; got {list(values)}")
        for option, n in (("samples", self.samples), ("needles", self.needles), ("max_tokens", self.max_tokens)):
            if not 1 <= n <= 1000:
                raise UsageError(f"{option} must be from 1 to 1,000; got {n}")
        if not 0 < self.threshold < 1:
            raise UsageError(f"threshold must lie between 0 and 1, exclusive; got {self.threshold:g}")
        if (self.length_in == "tokens") != (self.tokenizer is not None):
            raise UsageError("tokenizer: lengths in tokens need a tokenizer, and lengths in words take none")
        if self.ask == "all" and self.needles == 1:
            raise UsageError("ask: all asks for several codes; set needles to 2 or more")

    def rows(self, base: Path) -> Sequence[Row]:
        """One text for each sample, with its question."""
        own = () if self.haystack is None else sentences_of(read_plain(self.haystack, base=base, option="haystack"))
        count = _words if self.tokenizer is None else _tokens(self.tokenizer, base)
        cells = [(length, depth) for length in sorted(self.lengths) for depth in self._depths()]
        return [self._row(length, depth, index, own, count) for length, depth in cells for index in range(self.samples)]

    def _depths(self) -> Sequence[float | None]:
        return (None,) if self.ask == "all" else sorted(self.depths)

    def _row(self, length: int, depth: float | None, index: int, own: Sequence[str], count: Counter) -> Row:
        shown = _SPREAD if depth is None else f"{depth:g}%"
        draw = random.Random(f"{self.seed}/{length}/{shown}/{index}")
        codes = _codes(draw, self.needles)
        sentences = [f"The secret code of the {key} is {code}." for key, code in codes]
        asked = codes if depth is None else codes[:1]
        question, cue = _question([key for key, _ in asked])
        frame = count(self.prompt.replace("{{ context }}", "")) + count(f" {question} {cue}")
        room = length - frame - sum(count(f" {sentence}") for sentence in sentences)
        filler = fill(draw, room, count, own)
        if len(filler) < 2:
            raise UsageError(
                f"lengths: {length} {self.length_in} hold no text about {self.needles} codes; give longer ones"
            )
        first = [] if depth is None else [(depth / 100, sentences[0])]
        others = sentences[len(first) :]
        spread = [((place + draw.random()) / len(others), text) for place, text in enumerate(others)]
        fields: dict[str, Json] = {
            "context": placed(filler, [*first, *spread]),
            "question": question,
            "cue": cue,
            "codes": [code for _, code in asked],
            "length": length,
            "depth": shown,
        }
        groups = {"length": str(length), "depth": shown, "length×depth": f"{length}×{shown}"}
        name = f"{length}-{shown.rstrip('%')}-{index}"
        return Row(name, fields, Place(f"probe needle, {name}"), groups)

    def parts(self, rows: Sequence[Row]) -> Sequence[Part]:
        """One task, with the map of length by depth."""
        asked = self.needles if self.ask == "all" else 1
        effective: Json = {"lengths": sorted(self.lengths), "threshold": self.threshold}
        task: dict[str, Json] = {
            "prompt": self.prompt,
            "reference": "{{ codes }}",
            "generate": {"max_tokens": self.max_tokens * asked, "temperature": 0.0},
            "groups": ["length", "depth", "length×depth"] if self.ask == "one" else ["length"],
            "metrics": ["needle_found", {"effective_length": effective}],
        }
        if self.chat:
            task["chat"] = True
        return [Part(task)]


def _codes(draw: random.Random, n: int) -> list[tuple[str, str]]:
    """`n` pairs of a key of two words and a number of six digits; no key and no number twice."""
    found: dict[str, str] = {}
    words = _KEYS.split()
    while len(found) < n:
        first, second = (words[int(draw.random() * len(words))] for _ in range(2))
        number = str(100_000 + int(draw.random() * 900_000))
        if first != second and number not in found.values():
            found.setdefault(f"{first} {second}", number)
    return list(found.items())


def _question(keys: Sequence[str]) -> tuple[str, str]:
    """The question, and the beginning of its answer."""
    if len(keys) == 1:
        return f"Question: What is the secret code of the {keys[0]}?", f"Answer: The secret code of the {keys[0]} is"
    named = ", ".join(f"the {key}" for key in keys[:-1]) + f" and the {keys[-1]}"
    return f"Question: What are the secret codes of {named}? List all of them.", "Answer: The secret codes are"


def _words(text: str) -> int:
    return len(pieces(text))


def _tokens(tokenizer: str, base: Path) -> Counter:
    """Counts the tokens of a text, without those that stand around it.

    Raises:
        UsageError: there is no such tokenizer on this machine.
    """
    found = locate(tokenizer, base=base, what="tokenizer")
    if found.folder is None:
        raise UsageError(f"tokenizer: {tokenizer!r} is not on this machine, and probes download nothing; give a folder")
    if importlib.util.find_spec("transformers") is None:
        raise MissingExtraError("transformers", "hf", purpose="the probe needle with a tokenizer")
    from transformers import AutoTokenizer

    try:
        loaded: Any = AutoTokenizer.from_pretrained(str(found.folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise UsageError(f"tokenizer: {tokenizer!r} cannot be loaded: {error}") from error
    known: dict[str, int] = {}

    def count(text: str) -> int:
        if text in known:
            return known[text]
        n = len(loaded(text, add_special_tokens=False, verbose=False)["input_ids"])
        if len(text) < _SHORT:  # a sentence, which comes again
            known[text] = n
        return n

    return count
