"""The tree over the words of a text along which its value is divided: parts of words first, sentences last.

The rules and their weights are those of shap (`shap.maskers._text.partition_tree`), so that the same words give the
same tree; here only the two scores beside a merge are computed anew, there all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evalharness.core.words import is_unspaced
from evalharness.stats.arrays import Bools, Floats, np

from .game import Token

__all__ = ["labels_of", "members", "merge_tree", "text_tree"]

_OPENERS = {"(": ")"}
_CLOSERS = {")"}
_CONNECTORS = {"but", "and", "or"}
_ENDS = {".", "?", "!"}
_APOSTROPHE_ENDS = {"t", "s"}


@dataclass(slots=True)
class _Label:
    text: str
    balanced: bool


@dataclass(slots=True)
class _Group:
    """Neighbouring words that are together already; `index` is their node."""

    labels: list[_Label]
    index: int

    @property
    def first(self) -> _Label:
        return self.labels[0]

    @property
    def last(self) -> _Label:
        return self.labels[-1]


def text_tree(tokens: Sequence[Token]) -> Floats:
    """(n − 1, 4) the tree over the players `tokens`, in the format of `merge_tree`."""
    return merge_tree(labels_of(tokens))


def labels_of(tokens: Sequence[Token]) -> list[str]:
    """What the rules see of each player: its text, with `##` in front where it continues the word before it."""
    found: list[str] = []
    for index, token in enumerate(tokens):
        shown = token.text.strip()
        before = tokens[index - 1] if index else None
        continues = (
            before is not None
            and before.end == token.start
            and before.text[-1:].isalnum()
            and shown[:1].isalpha()
            and not is_unspaced(shown[:1])
        )
        found.append(f"##{shown}" if continues else shown)
    return found


def merge_tree(labels: Sequence[str]) -> Floats:
    """(n − 1, 4) float64, one row a merge: left node, right node, height, number of leaves (as scipy's linkage).

    Nodes below n are the players, node n + i is row i; the last row is the whole. Heights are sizes as a share of the
    whole. (0, 4) for fewer than two players.
    """
    n = len(labels)
    groups = [
        _Group([_Label(label, label not in _OPENERS and label not in _CLOSERS)], index)
        for index, label in enumerate(labels)
    ]
    found: Floats = np.zeros((max(0, n - 1), 4))
    scores = [_merge_score(groups[i], groups[i + 1]) for i in range(n - 1)]
    for row in range(n - 1):
        at = scores.index(max(scores))
        left, right = groups[at], groups.pop(at + 1)
        found[row] = left.index, right.index, 0.0, len(left.labels) + len(right.labels)
        merged = _Group([*left.labels, *right.labels], n + row)
        if _OPENERS.get(merged.first.text, "") == merged.last.text:
            merged.first.balanced = merged.last.balanced = True
        groups[at] = merged
        scores.pop(at)
        if at > 0:
            scores[at - 1] = _merge_score(groups[at - 1], merged)
        if at < len(scores):
            scores[at] = _merge_score(merged, groups[at + 1])
    if n > 1:
        found[:, 2] = found[:, 3] / n
    return found


def _merge_score(left: _Group, right: _Group) -> int:
    """How early two neighbours are put together; the first of the highest comes first."""
    score = 0
    first, last, n_right = right.first.text, left.last.text, len(right.labels)
    if first.startswith("##"):
        score += 20
    if first == "'" and (n_right == 1 or (n_right == 2 and right.labels[1].text in _APOSTROPHE_ENDS)):
        score += 15
    if last == "'" and first in _APOSTROPHE_ENDS:
        score += 15
    left_control = left.first.text.startswith("[") and left.first.text.endswith("]")
    right_control = right.last.text.startswith("[") and right.last.text.endswith("]")
    if left_control != right_control:
        score -= 1000
    if first in _OPENERS and not right.first.balanced:
        score -= 100
    if last in _CLOSERS and not left.last.balanced:
        score -= 100
    if left.first.text in _OPENERS:
        score -= 2
    if last in _CONNECTORS or first in _CONNECTORS:
        score -= 2
    # Across commas later than within clauses, across the ends of sentences later still.
    if last == ",":
        score -= 10
    if first == ",":
        score -= 10 if n_right > 1 else 1
    if last in _ENDS:
        score -= 20
    if first in _ENDS:
        score -= 20 if n_right > 1 else 1
    return score - len(left.labels) - n_right


def members(tree: Floats) -> Bools:
    """(2n − 1, n) the players below each node of `tree`."""
    n = len(tree) + 1
    found: Bools = np.zeros((2 * n - 1, n), dtype=np.bool_)
    found[np.arange(n), np.arange(n)] = True
    for row, (left, right) in enumerate(tree[:, :2].astype(np.int64).tolist()):
        found[n + row] = found[left] | found[right]
    return found
