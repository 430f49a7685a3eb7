"""Long neutral texts of a wanted length: sentences of our own making, or those of a user's file."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

__all__ = ["Counter", "fill", "neutral_sentence", "placed", "sentences_of"]

Counter = Callable[[str], int]
"""How long a text is, in words or tokens."""

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+|(?<=[。！？])")

_LISTS = """
the baker, the gardener, a teacher, an old sailor, the librarian, a young painter, the farmer, a
visitor, the carpenter, the postman, a musician, the miller, a student, the ferryman, a weaver, the
shepherd

walked along, looked at, spoke about, remembered, painted, described, crossed, swept, admired,
measured, waited beside, sat near, wrote about, dreamed of, returned to, drew a map of

the quiet river, a stone bridge, the old market, a row of poplars, the harbour wall, a narrow
street, the village square, a field of barley, the wooden gate, a hill with a chapel, the orchard, a
small library, the mill pond, a winding path, the lighthouse, a garden full of herbs

in the early morning, after the rain, before the evening meal, on a warm afternoon, while the wind
was rising, when the bells had stopped, late in the autumn, during the first snow, as the fog was
lifting, in the last light, under a pale sky, on the way home

and nobody was in a hurry, and the day went on as before, and the children laughed, and a dog barked
far away, and the air smelled of bread, and there was nothing more to say, and the lamps were lit
one by one, and the swallows flew low, and the tea had gone cold, and the road was empty again
"""
_PARTS = tuple(tuple(" ".join(part.split()).split(", ")) for part in _LISTS.strip().split("\n\n"))


def neutral_sentence(draw: random.Random) -> str:
    """One sentence that says nothing in particular: no number, no name, nothing that a question could be about."""
    who, does, what, when, then = (part[int(draw.random() * len(part))] for part in _PARTS)
    return f"{who[0].upper()}{who[1:]} {does} {what} {when}, {then}."


def sentences_of(text: str) -> list[str]:
    """The sentences of `text`, white space made single."""
    return [flat for part in _SENTENCE_END.split(text) if (flat := " ".join(part.split()))]


def fill(draw: random.Random, room: int, count: Counter, own: Sequence[str] = ()) -> list[str]:
    """Sentences that together are as long as will fit into `room`: a user's `own` from a random one on, else neutral.

    Those of a user are gone through in their order, and from the beginning again where they end.
    """
    start = int(draw.random() * len(own)) if own else 0
    chosen: list[str] = []
    used = 0
    while True:
        sentence = own[(start + len(chosen)) % len(own)] if own else neutral_sentence(draw)
        used += count(f" {sentence}")
        if used > room:
            break
        chosen.append(sentence)
    # Sentences side by side may be longer than their sum, by a token here and there.
    while chosen and count(" ".join(chosen)) > room:
        chosen.pop()
    return chosen


def placed(filler: Sequence[str], needles: Sequence[tuple[float, str]]) -> str:
    """The text with each needle (depth from 0 to 1, sentence) between two sentences, where its depth lies."""
    sizes = [len(sentence) + 1 for sentence in filler]
    ends = [0]
    for size in sizes:
        ends.append(ends[-1] + size)
    before: dict[int, list[str]] = {}
    for depth, sentence in needles:
        wanted = depth * ends[-1]
        place = min(range(len(ends)), key=lambda i: abs(ends[i] - wanted))
        before.setdefault(place, []).append(sentence)
    parts: list[str] = []
    for place in range(len(filler) + 1):
        parts += before.get(place, [])
        parts += filler[place : place + 1]
    return " ".join(parts)
