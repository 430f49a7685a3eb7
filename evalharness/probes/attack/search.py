"""The search on one text: which words matter, and which of their substitutes turn the classifier round.

The steps of a search are a generator: it gives texts away to be scored and gets their probabilities back, so that
searches on many texts share the batches of the model (`lockstep.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalharness.core.errors import UsageError
from evalharness.stats.arrays import Floats, np

from ..perturb.base import generator
from ..perturb.words import Span, like, replace_spans, words

__all__ = ["STOP_WORDS", "Attack", "Attacked", "Candidates", "Similarity", "Steps"]

Candidates: TypeAlias = Callable[[str], Sequence[str]]
"""What may stand in the place of a word, in lower case, the best first; none where there is nothing."""
Similarity: TypeAlias = Callable[[str, Sequence[str]], Floats]
"""(text, others) -> (m,) how alike each of the others is in meaning, 1 for the same."""
Steps: TypeAlias = Generator[list[str], Floats, "Attacked"]

Outcome = Literal["fooled", "held", "out of queries", "wrong before"]

# Words that carry grammar and hardly any meaning: a substitute breaks the sentence and proves nothing.
STOP_WORDS = frozenset({
    "a", "an", "the", "and", "or", "but", "nor", "so", "yet", "of", "in", "on", "at", "by", "for", "from", "to",
    "with", "without", "into", "onto", "upon", "about", "as", "than", "then", "that", "this", "these", "those",
    "it", "its", "he", "his", "him", "she", "her", "they", "them", "their", "we", "us", "our", "you", "your",
    "i", "me", "my", "who", "whom", "whose", "which", "what", "when", "where", "why", "how", "is", "are", "was",
    "were", "be", "been", "being", "am", "do", "does", "did", "done", "has", "have", "had", "having", "will",
    "would", "shall", "should", "can", "could", "may", "might", "must", "not", "no", "n't", "if", "while",
    "because", "there", "here", "also", "too", "very", "just", "only",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attacked:
    """What a search found.

    `label` is the index of the label that was attacked, `found_label` that of the answer to `text`, the changed text
    (the one nearest to turning round, where none did). `probability` is that of `label` for `text`, `before` for the
    original. `n_queries` counts the texts that the classifier was asked, the original among them; `share_changed` is of
    all words. `similarity` is NaN where none was computed.
    """

    original: str
    text: str
    outcome: Outcome
    label: int
    found_label: int
    before: float
    probability: float
    similarity: float
    n_queries: int
    n_words: int
    changes: tuple[tuple[str, str], ...] = ()

    @property
    def share_changed(self) -> float:
        """Changed words of all words; NaN of a text without words."""
        return len(self.changes) / self.n_words if self.n_words else float("nan")


@dataclass(frozen=True, kw_only=True)
class Attack:
    """Greedy substitution of words, the most important one first.

        importance of word w = P(y | text) − P(y | text without w)

    Each important word in turn is put in all of its substitutes' words. Those whose text stays at least `least_similar`
    to the original are kept; if one of them turns the classifier round, the one most like the original is taken and the
    search ends, else the one that lowers P(y) the most, where any does. The words of the grammar are left alone.

    A text that the search did not turn round may still be turned round by a better one: success is a lower bound of how
    easily the model is fooled, at this budget and with these substitutes.

    Options:
        max_queries: most texts that the classifier is asked, for each text attacked.
        max_candidates: most substitutes of a word; of more, so many are drawn.
        max_share: largest share of the words that may be changed.
        least_similar: smallest similarity to the original.
        seed: of what is drawn.

    Source: Jin et al. 2020 (TextFooler, arXiv 1907.11932), algorithm 1, without its check of parts of speech.
    """

    max_queries: int = 500
    max_candidates: int = 20
    max_share: float = 0.4
    least_similar: float = 0.8
    seed: int = 0

    def __post_init__(self) -> None:
        for key in ("max_queries", "max_candidates"):
            if getattr(self, key) < 1:
                raise UsageError(f"{key} must be at least 1; got {getattr(self, key)}")
        if not 0 < self.max_share <= 1:
            raise UsageError(f"max_share must be above 0 and at most 1; got {self.max_share}")
        if not -1 <= self.least_similar <= 1:
            raise UsageError(f"least_similar must be from -1 to 1; got {self.least_similar}")

    def steps(
        self,
        text: str,
        *,
        row: str,
        gold: int | None,
        candidates: Candidates,
        similarity: Similarity | None = None,
    ) -> Steps:
        """The search on `text`, a step at a time; `gold` None attacks whatever the classifier says of it."""
        state = _State(text, self)
        (first,) = yield from state.asked([text])
        said = int(np.argmax(first))
        state.label = said if gold is None else gold
        state.before = state.probability = float(first[state.label])
        if said != state.label:
            return state.result("wrong before", said)
        spans = [span for span in words(text) if span.text.lower() not in STOP_WORDS]
        order = yield from self._by_importance(state, spans)
        changed: dict[Span, str] = {}
        most = max(1, int(self.max_share * state.n_words))
        for span in order:
            if len(changed) == most:
                break
            news = self._substitutes(span, row, candidates)
            texts = [_with(text, {**changed, span: new}) for new in news]
            alike = np.full(len(texts), np.nan) if similarity is None or not texts else similarity(text, texts)
            usable = [i for i in range(len(texts)) if not alike[i] < self.least_similar]
            usable = usable[: state.left]
            if not usable:
                if state.left == 0:
                    return state.result("out of queries", state.label)
                continue
            found = yield from state.asked([texts[i] for i in usable])
            turned = [k for k in range(len(usable)) if int(np.argmax(found[k])) != state.label]
            if turned:
                best = max(turned, key=lambda k: (_number(alike[usable[k]]), -float(found[k][state.label]), -k))
            else:
                best = min(range(len(usable)), key=lambda k: (float(found[k][state.label]), k))
                if float(found[best][state.label]) >= state.probability:
                    continue
            place = usable[best]
            changed[span] = news[place]
            state.take(texts[place], found[best], float(alike[place]), [(s.text, n) for s, n in changed.items()])
            if turned:
                return state.result("fooled", int(np.argmax(found[best])))
        return state.result("out of queries" if state.left == 0 else "held", state.label)

    def _by_importance(self, state: _State, spans: Sequence[Span]) -> Generator[list[str], Floats, list[Span]]:
        """`spans`, the one first whose loss lowers the label's probability the most; those that fit the budget."""
        spans = spans[: state.left]
        if not spans:
            return []
        without = yield from state.asked([_without(state.original, span) for span in spans])
        importance = state.before - without[:, state.label]
        return [spans[i] for i in sorted(range(len(spans)), key=lambda i: (-float(importance[i]), i))]

    def _substitutes(self, span: Span, row: str, candidates: Candidates) -> list[str]:
        own = span.text.lower()
        found = [word for word in dict.fromkeys(candidates(own)) if word.lower() != own and word.strip()]
        if len(found) > self.max_candidates:
            rng = generator(self.seed, row, str(span.start), own)
            found = [found[i] for i in sorted(rng.sample(range(len(found)), self.max_candidates))]
        return [like(span.text, word) for word in found]


class _State:
    """What a search knows so far."""

    def __init__(self, original: str, attack: Attack) -> None:
        self.original = self.text = original
        self.left = attack.max_queries
        self.n_queries = 0
        self.n_words = len(words(original))
        self.label = 0
        self.before = self.probability = self.similarity = float("nan")
        self.changes: tuple[tuple[str, str], ...] = ()
        self._known: dict[str, Floats] = {}

    def asked(self, texts: list[str]) -> Generator[list[str], Floats, Floats]:
        """(m, labels) the probabilities of `texts`; a text is asked, and counted, once."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self.n_queries += len(new)
            self.left -= len(new)
            found = yield new
            self._known.update(zip(new, found, strict=True))
        return np.stack([self._known[text] for text in texts])

    def take(self, text: str, scores: Floats, similarity: float, changes: list[tuple[str, str]]) -> None:
        """Go on from `text`."""
        self.text, self.probability, self.similarity = text, float(scores[self.label]), similarity
        self.changes = tuple(changes)

    def result(self, outcome: Outcome, found_label: int) -> Attacked:
        """What was found."""
        return Attacked(
            original=self.original,
            text=self.text,
            outcome=outcome,
            label=self.label,
            found_label=found_label,
            before=self.before,
            probability=self.probability,
            similarity=self.similarity,
            n_queries=self.n_queries,
            n_words=self.n_words,
            changes=self.changes,
        )


def _with(text: str, changes: dict[Span, str]) -> str:
    return replace_spans(text, [Span(span.start, span.end, new) for span, new in changes.items()])


def _without(text: str, span: Span) -> str:
    """`text` without the word, and without the space that would be doubled."""
    before, after = text[: span.start], text[span.end :]
    return before + (after.removeprefix(" ") if not before or before.endswith(" ") else after)


def _number(value: float) -> float:
    return 0.0 if value != value else value
