"""Translation edits: word edits, and shifts of whole blocks of words, as sacrebleu and Tercom count them.

The search for shifts is greedy, with limits that are part of the definition: sacrebleu's choices are followed to the
last tie. What is faster is the arithmetic beneath. Texts become strings with one character a word; the distance of a
shifted text is rapidfuzz's; and the alignment is walked back from two bit vectors a row instead of from a table.

sacrebleu searches distances in a beam around the diagonal. An alignment with D edits never leaves it where
D + |m − n| <= 2·25 − 4: at row i it stands at column j with |j − i| + |(m − n) − (j − i)| <= D, so no further than
(D + |m − n|)/2 from the diagonal. There the plain distance is the beam's. Elsewhere the beam itself is computed, for
all shifts of a round at once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from .arrays import Ints, np

__all__ = ["translation_edits"]

_MAX_SHIFT_SIZE = 10
_MAX_SHIFT_DISTANCE = 50
_MAX_CANDIDATES = 1000
_BEAM = 25
_FAR = 1 << 40  # the cells outside of the beam


class _Alignment(NamedTuple):
    """How a text becomes the reference: word errors of both, and where in the text each reference word stands."""

    edits: int
    text_errors: list[int]
    reference_errors: list[int]
    places: list[int]


class _Shift(NamedTuple):
    """A candidate; the order of the fields is Tercom's order of preference."""

    length: int
    minus_start: int
    minus_target: int
    text: str


def translation_edits(text: Sequence[Hashable], reference: Sequence[Hashable]) -> int:
    """The least edits that the greedy search finds from `text` to `reference`: insert, delete, replace, shift a block.

    Without a reference every word is an edit. Source: Snover et al. 2006; equal to sacrebleu
    `lib_ter.translation_edit_rate`.
    """
    if not reference:
        return len(text)
    letters: dict[Hashable, str] = {}
    current, gold = (
        "".join([letters.setdefault(word, _letter(len(letters))) for word in words]) for words in (text, reference)
    )
    where: dict[str, list[int]] = defaultdict(list)
    for place, letter in enumerate(gold):
        where[letter].append(place)
    shifts = checked = 0
    while True:
        in_beam = _is_safe(current, gold)
        aligned = _bit_alignment(current, gold) if in_beam else _beam_alignment(current, gold)
        if not aligned.edits:
            return shifts
        found = list(_shifts(current, gold, where, aligned, checked))
        checked += len(found)
        if checked >= _MAX_CANDIDATES:
            return shifts + aligned.edits
        best = _best(found, gold, aligned.edits, in_beam)
        if best is None:
            return shifts + aligned.edits
        shifts += 1
        current = best


def _letter(number: int) -> str:
    return chr(number if number < 0xD800 else number + 0x800)  # surrogates are no characters


@cache
def _distance() -> Callable[..., int]:
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance


def _is_safe(text: str, reference: str) -> bool:
    """Whether no best alignment leaves the beam."""
    limit = 2 * _BEAM - 4 - abs(len(text) - len(reference))
    return limit >= 0 and _distance()(text, reference, score_cutoff=limit) <= limit


def _best(found: list[_Shift], reference: str, edits: int, in_beam: bool) -> str | None:
    """The shifted text with the fewest edits below `edits`; of equally good ones the one that Tercom prefers."""
    if not found:
        return None
    if in_beam:
        distance = _distance()
        least, best = edits - 1, None
        for shift in found:
            left = distance(shift.text, reference, score_cutoff=least)
            if left < least or (left == least and (best is None or shift[:3] > best[:3])):
                least, best = left, shift
        return None if best is None else best.text
    numbers = np.array([list(map(ord, shift.text)) for shift in found], dtype=np.int64)
    for _, cells in _beam_rows(numbers, np.array(list(map(ord, reference)), dtype=np.int64)):
        row = cells  # the last one has the distances
    distances = row[:, -1].tolist()
    least = min(distances)
    if least >= edits:
        return None
    return max(shift for shift, left in zip(found, distances, strict=True) if left == least).text


def _shifts(
    text: str, reference: str, where: dict[str, list[int]], aligned: _Alignment, checked: int
) -> Iterator[_Shift]:
    """The candidates of a round, in sacrebleu's order, until it stops looking."""
    n, m = len(text), len(reference)
    # Errors before each position: a block without any is left where it is.
    wrong, missed = ([0, *np.cumsum(errors).tolist()] for errors in (aligned.text_errors, aligned.reference_errors))
    places = aligned.places
    for start, letter in enumerate(text):
        for gold in where.get(letter, ()):
            if abs(gold - start) > _MAX_SHIFT_DISTANCE:
                continue
            longest = min(_MAX_SHIFT_SIZE, n - start, m - gold)
            length = 0
            while length < longest and text[start + length] == reference[gold + length]:
                length += 1
                if wrong[start + length] == wrong[start] or missed[gold + length] == missed[gold]:
                    continue
                if start <= places[gold] < start + length:
                    continue  # it stands within the block
                last = -1
                for offset in range(-1, length):
                    if gold + offset >= m:
                        break
                    target = places[gold + offset] + 1 if gold + offset >= 0 else 0
                    if target == last:
                        continue
                    last = target
                    checked += 1
                    yield _Shift(length, -start, -target, _shifted(text, start, length, target))
                if checked >= _MAX_CANDIDATES:
                    return


def _shifted(text: str, start: int, length: int, target: int) -> str:
    block = text[start : start + length]
    if target < start:
        return text[:target] + block + text[target:start] + text[start + length :]
    if target > start + length:
        return text[:start] + text[start + length : target] + block + text[target:]
    # Within the block itself: it moves by as many words as the target lies behind its start.
    return text[:start] + text[start + length : length + target] + block + text[length + target :]


# ── alignments ────────────────────────────────────────────────────────────────────────────────────────────────────


def _bit_alignment(text: str, reference: str) -> _Alignment:
    """The alignment from bit vectors: bit j of a row says how its cell j + 1 follows from its neighbours.

    `same` (D0): the cell equals the one diagonally before it; `more` (HP): it is one above the cell of the row before.
    Source: Hyyrö 2003, "A bit-vector algorithm for computing Levenshtein and Damerau edit distances", figure 3.
    """
    masks: dict[str, int] = {}
    for j, letter in enumerate(reference):
        masks[letter] = masks.get(letter, 0) | (1 << j)
    full = (1 << len(reference)) - 1
    positive, negative = full, 0
    same, more = [0], [0]
    for letter in text:
        equal = masks.get(letter, 0)
        diagonal = ((((equal & positive) + positive) ^ positive) | equal | negative) & full
        up = negative | (full & ~(diagonal | positive))
        down = diagonal & positive
        same.append(diagonal)
        more.append(up)
        up = ((up << 1) | 1) & full
        down = (down << 1) & full
        positive = down | (full & ~(diagonal | up))
        negative = up & diagonal

    def step(i: int, j: int) -> str:
        bit = 1 << (j - 1)
        if text[i - 1] == reference[j - 1] or not same[i] & bit:
            return "both"
        return "text" if more[i] & bit else "reference"

    return _walked_back(text, reference, step)


def _beam_alignment(text: str, reference: str) -> _Alignment:
    numbers = [np.array(list(map(ord, words)), dtype=np.int64) for words in (text, reference)]
    table = [(start, cells[0].tolist()) for start, cells in _beam_rows(numbers[0][None], numbers[1])]

    def cell(i: int, j: int) -> int:
        start, cells = table[i]
        return int(cells[j - start]) if start <= j < start + len(cells) else _FAR

    def step(i: int, j: int) -> str:
        if cell(i, j) == cell(i - 1, j - 1) + (text[i - 1] != reference[j - 1]):
            return "both"
        return "text" if cell(i, j) == cell(i - 1, j) + 1 else "reference"

    return _walked_back(text, reference, step)


def _walked_back(text: str, reference: str, step: Callable[[int, int], str]) -> _Alignment:
    i, j = len(text), len(reference)
    text_errors, reference_errors, places = [1] * i, [1] * j, [0] * j
    edits = 0
    while i or j:
        # Tercom's preference among equally good steps: both words, a word of the text, a word of the reference.
        taken = "reference" if not i else "text" if not j else step(i, j)
        if taken == "both":
            wrong = int(text[i - 1] != reference[j - 1])
            text_errors[i - 1] = reference_errors[j - 1] = wrong
            edits += wrong - 1
        edits += 1
        i -= taken != "reference"
        if taken != "text":
            j -= 1
            # A missing word stands behind the last word of the text before it.
            places[j] = i - (taken == "reference")
    return _Alignment(edits, text_errors, reference_errors, places)


def _beam_rows(texts: Ints, reference: Ints) -> Iterator[tuple[int, Ints]]:
    """Row by row the distance tables of texts (c, n) in sacrebleu's beam: where it begins, and its cells (c, width)."""
    n, m = texts.shape[1], len(reference)
    ratio = m / n if n else 1.0
    width = math.ceil(ratio / 2 + _BEAM) if ratio / 2 > _BEAM else _BEAM
    words = np.concatenate([[-1], reference])  # words[j] is the one that stands before column j
    start, cells = 0, np.broadcast_to(np.arange(m + 1), (len(texts), m + 1))
    yield start, cells
    for i in range(1, n + 1):
        diagonal = math.floor(i * ratio)
        low, high = max(0, diagonal - width), min(m + 1, diagonal + width)
        if i == n:
            high = m + 1
        # The row before from column low − 1 on, as far as it lay in the beam.
        before = np.full((len(texts), high - low + 1), _FAR, dtype=np.int64)
        first = max(low - 1, start)
        last = max(first, min(high, start + cells.shape[1]))
        before[:, first - low + 1 : last - low + 1] = cells[:, first - start : last - start]
        replaced = before[:, :-1] + (texts[:, i - 1, None] != words[low:high])
        # A word of the reference may be added behind any cell: the least of what stands to the left, plus the way.
        along = np.arange(high - low)
        cells = np.minimum.accumulate(np.minimum(replaced, before[:, 1:] + 1) - along, axis=1) + along
        start, cells = low, np.minimum(cells, _FAR)
        yield start, cells
