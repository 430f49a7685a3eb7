"""Longest common substrings of many texts with one: the longest run that ends at each place of each text.

The texts become one suffix automaton, and the source, which may be a thousand times longer, is read through it once:
O(|source| + Σ|text|) steps and O(Σ|text|) memory, and every length is exact. Of the source only the places count at
which two neighbours stand side by side in some text, too; those numpy finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .arrays import ArrayLike, Ints, np

__all__ = ["common_runs", "longest_common_run"]


class _Automaton:
    """The suffix automaton of several texts (Blumer et al. 1985; several texts: Mohri et al. 2009).

    A state stands for strings that end at the same places, each a suffix of the longest one, of `length`; `link` is the
    state of the longest suffix that ends elsewhere, too. `add` takes codes; a negative one matches nothing.
    """

    def __init__(self) -> None:
        self.length, self.link = [0], [-1]
        self.next: list[dict[int, int]] = [{}]

    def add(self, codes: Sequence[int]) -> None:
        last = 0
        for code in codes:
            last = 0 if code < 0 else self._extended(last, code)

    def _extended(self, last: int, code: int) -> int:
        found = self.next[last].get(code)
        if found is not None:  # another text has been here
            return found if self.length[found] == self.length[last] + 1 else self._split(last, code, found)
        state = self._new(self.length[last] + 1, {}, 0)
        while last != -1 and code not in self.next[last]:
            self.next[last][code] = state
            last = self.link[last]
        if last != -1:
            found = self.next[last][code]
            tight = self.length[found] == self.length[last] + 1
            self.link[state] = found if tight else self._split(last, code, found)
        return state

    def _split(self, last: int, code: int, state: int) -> int:
        """The shorter strings of `state` as a state of their own."""
        clone = self._new(self.length[last] + 1, dict(self.next[state]), self.link[state])
        self.link[state] = clone
        while last != -1 and self.next[last].get(code) == state:
            self.next[last][code] = clone
            last = self.link[last]
        return clone

    def _new(self, length: int, following: dict[int, int], link: int) -> int:
        self.length.append(length)
        self.next.append(following)
        self.link.append(link)
        return len(self.length) - 1

    def matched(self, stretches: Iterator[list[int]]) -> list[int]:
        """For each state the length of the longest of its strings, or of their suffixes, that the source holds."""
        best = [0] * len(self.length)
        for stretch in stretches:
            state = length = 0
            for code in stretch:
                while state and code not in self.next[state]:
                    state = self.link[state]
                    length = self.length[state]
                following = self.next[state].get(code)
                if following is None:
                    continue
                state = following
                length += 1
                best[state] = max(best[state], length)
        order = sorted(range(1, len(best)), key=self.length.__getitem__)
        for state in reversed(order):  # the suffixes of what was found are there, too
            if best[state]:
                best[self.link[state]] = self.length[self.link[state]]
        for state in order:
            best[state] = best[state] or best[self.link[state]]
        return best


def common_runs(texts: Sequence[ArrayLike], source: ArrayLike) -> list[Ints]:
    """For each of `texts` (n_i,) ids, at each place the length of the longest run ending there that `source` holds.

    The highest of them is the length of the longest common substring; an empty text has none. A negative id matches
    nothing, also no other negative one: it ends every run.
    """
    arrays = [np.asarray(text, dtype=np.int64) for text in texts]
    ids = np.asarray(source, dtype=np.int64)
    joined = np.concatenate([*arrays, np.zeros(0, dtype=np.int64)])
    known = np.unique(joined[joined >= 0])
    found = [np.zeros(len(array), dtype=np.int64) for array in arrays]
    if not known.size or not ids.size:
        return found
    coded = [_codes(array, known) for array in arrays]
    automaton = _Automaton()
    for codes in coded:
        automaton.add(codes.tolist())
    best = automaton.matched(_stretches(coded, _codes(ids, known), known.size))
    for runs, codes in zip(found, coded, strict=True):
        # What was read since the last break is the longest string of its state: `add` has split off any longer one.
        state = 0
        for index, code in enumerate(codes.tolist()):
            state = 0 if code < 0 else automaton.next[state][code]
            runs[index] = best[state]
    return found


def longest_common_run(first: ArrayLike, second: ArrayLike) -> int:
    """The length of the longest common substring of two sequences of ids; 0 where there is none."""
    runs = common_runs([first], second)[0]
    return int(runs.max(initial=0))


def _codes(ids: Ints, known: Ints) -> Ints:
    """The ids numbered as in `known`, −1 for those that are not there."""
    places = np.minimum(np.searchsorted(known, ids), known.size - 1)
    return np.where(known[places] == ids, places, -1)


def _stretches(texts: Sequence[Ints], source: Ints, n_codes: int) -> Iterator[list[int]]:
    """The parts of the source in which each two neighbours are neighbours in some text, and each code alone."""

    def pairs(codes: Ints) -> Ints:
        inside = (codes[:-1] >= 0) & (codes[1:] >= 0)
        return np.where(inside, codes[:-1] * n_codes + codes[1:], -1)

    for code in np.unique(source[source >= 0]).tolist():
        yield [code]
    wanted = np.unique(np.concatenate([pairs(codes) for codes in texts]))
    side_by_side = pairs(source)
    first = np.flatnonzero((side_by_side >= 0) & np.isin(side_by_side, wanted))
    if not first.size:
        return
    for places in np.split(first, np.flatnonzero(np.diff(first) > 1) + 1):
        yield source[places[0] : places[-1] + 2].tolist()
