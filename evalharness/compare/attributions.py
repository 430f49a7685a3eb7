"""Attribution drift: do two runs look at the same words of the same texts, and how much of that lies on identity terms?

Texts are paired by what they hold, words by where they stand. Only explanations of the same output are compared: a
text whose prediction has changed is counted, and its attributions explain two different things.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..core.errors import UsageError
from ..metrics.explanations import explanation_of, shown_values
from ..metrics.identity import IdentityMass, mass_on_terms, terms_pattern

if TYPE_CHECKING:
    from ..record import Record
    from .subjects import FigurePair

__all__ = ["AttributionDrift", "WordChange", "attribution_drifts", "drift_of", "word_changes"]

_MOST_WORDS: Final = 8
_LEAST_WORDS: Final = 2


@dataclass(frozen=True, slots=True)
class WordChange:
    """A word whose mean contribution changed: over the `n` texts that have it, in both runs."""

    word: str
    value: float
    baseline: float
    n: int

    @property
    def difference(self) -> float:
        """How much more it adds than it did."""
        return self.value - self.baseline


@dataclass(frozen=True, slots=True)
class AttributionDrift:
    """How the explanations of one task differ between two runs, over the `n` texts explained on both sides.

    `spearman` and `kendall` are mean rank correlations of the words' values within a text, with the interval of that
    mean; `same_top` is the share of texts whose most important word is the same. `mass` is the share of the attribution
    on identity terms, over the `n_mass` texts that have one; `mass_p` is that of a permutation test which lets the two
    runs change places, text by text. `n_other_output` are texts of which other outputs are explained.
    """

    candidate: str
    task: str
    model: str
    baseline_model: str
    n: int
    n_other_output: int
    spearman: float
    spearman_low: float
    spearman_high: float
    kendall: float
    kendall_low: float
    kendall_high: float
    same_top: float
    mass: float
    mass_baseline: float
    mass_low: float
    mass_high: float
    mass_p: float
    n_mass: int
    words: tuple[WordChange, ...]


@dataclass(frozen=True, slots=True)
class _Text:
    explanation: Mapping[str, Any]
    cluster: str | None


def attribution_drifts(
    label: str, record: Record, base: Record, pairs: Sequence[FigurePair], *, confidence: float, seed: int
) -> Iterator[AttributionDrift]:
    """The drift of each task of `pairs` that both records explain."""
    tasks = dict.fromkeys((p.current.task, p.current.model, p.baseline.task, p.baseline.model) for p in pairs)
    for task, model, base_task, base_model in tasks:
        if not (_explains(record, task, model) and _explains(base, base_task, base_model)):
            continue
        ours, theirs = _texts(record, task, model), _texts(base, base_task, base_model)
        if not ours and not theirs:
            continue  # a study of another kind, such as an attack
        both = [(ours[digest], theirs[digest]) for digest in ours if digest in theirs]
        yield drift_of(
            both, (label, task, model, base_model), terms=_terms(record, task), confidence=confidence, seed=seed
        )


def _explains(record: Record, task: str, model: str) -> bool:
    return any((one.id, one.model, one.kind) == (task, model, "study") for one in record.manifest.tasks)


def _texts(record: Record, task: str, model: str) -> dict[str, _Text]:
    found: dict[str, _Text] = {}
    for row in record.iter_samples(task=task, model=model):
        explanation = explanation_of(row.response)
        if explanation is not None:
            found.setdefault(row.sample.digest, _Text(explanation, row.sample.cluster))
    return found


def _terms(record: Record, task: str) -> re.Pattern[str]:
    """The terms of the task's own `identity_mass`, where the suite itself holds them; else the built-in ones."""
    tasks: Any = record.manifest.suite.get("tasks") or ()
    for entry in tasks:
        for spec in entry.get("metrics") or () if entry.get("id") == task else ():
            options = spec.get("identity_mass") if isinstance(spec, Mapping) else None
            if isinstance(options, Mapping) and not options.get("file"):
                given: Any = {key: tuple(value) for key, value in options.items() if key in ("words", "axes")}
                try:
                    return _pattern(IdentityMass(**given))
                except UsageError:
                    continue  # written by another version, with other axes
    return _pattern(IdentityMass())


def _pattern(metric: IdentityMass) -> re.Pattern[str]:
    return terms_pattern(metric.terms() or ())


def drift_of(
    both: Sequence[tuple[_Text, _Text]],
    names: tuple[str, str, str, str],
    *,
    terms: re.Pattern[str],
    confidence: float,
    seed: int,
) -> AttributionDrift:
    """The drift over pairs of explanations of the same texts; `names` are candidate, task, model, baseline's model."""
    from ..stats.correlation import kendall, spearman
    from ..stats.intervals import cluster_codes, mean_interval

    alike = [
        (new, old)
        for new, old in both
        if new.explanation.get("explained") == old.explanation.get("explained") and _common(new, old)
    ]
    aligned = [_aligned(new, old) for new, old in alike]
    first = np.array([float(spearman(values, before)) for _, values, before in aligned])
    second = np.array([kendall(values, before) for _, values, before in aligned])
    clusters = [new.cluster for new, _ in alike]

    def mean(values: Any) -> tuple[float, float, float]:
        known = ~np.isnan(values)
        if not known.any():
            return math.nan, math.nan, math.nan
        codes = cluster_codes([cluster for cluster, is_known in zip(clusters, known, strict=True) if is_known])
        low, high = mean_interval(values[known], confidence=confidence, codes=codes)
        return float(values[known].mean()), *_within(low, high)

    tops = [int(np.argmax(np.abs(values))) == int(np.argmax(np.abs(before))) for _, values, before in aligned]
    mass, before, low, high, p_value, n_mass = _mass(alike, terms, confidence=confidence, seed=seed)
    return AttributionDrift(
        *names,
        len(alike),
        len(both) - len(alike),
        *mean(first),
        *mean(second),
        float(np.mean(tops)) if tops else math.nan,
        mass,
        before,
        low,
        high,
        p_value,
        n_mass,
        word_changes(aligned),
    )


def _spans(text: _Text) -> dict[tuple[int, int], tuple[str, float]]:
    values = shown_values(text.explanation)
    return {
        (int(start), int(end)): (str(name), value)
        for (name, start, end), value in zip(text.explanation["tokens"], values, strict=True)
    }


def _common(new: _Text, old: _Text) -> bool:
    return len(_spans(new).keys() & _spans(old).keys()) >= _LEAST_WORDS


def _aligned(new: _Text, old: _Text) -> tuple[list[str], Any, Any]:
    """(words, their values, their values before) of the words that stand at the same places."""
    ours, theirs = _spans(new), _spans(old)
    places = [place for place in ours if place in theirs]
    return (
        [ours[place][0] for place in places],
        np.array([ours[place][1] for place in places]),
        np.array([theirs[place][1] for place in places]),
    )


def _mass(
    alike: Sequence[tuple[_Text, _Text]], terms: re.Pattern[str], *, confidence: float, seed: int
) -> tuple[float, float, float, float, float, int]:
    """(mass, the baseline's, low and high of the difference, p, n)."""
    from ..stats.intervals import cluster_codes, mean_interval
    from ..stats.resampled import approximate_randomisation

    pairs = [
        (mass_on_terms(new.explanation, terms), mass_on_terms(old.explanation, terms), new.cluster)
        for new, old in alike
    ]
    known = [(new, old, cluster) for new, old, cluster in pairs if new is not None and old is not None]
    if not known:
        return math.nan, math.nan, math.nan, math.nan, math.nan, 0
    values = np.array([new for new, _, _ in known])
    before = np.array([old for _, old, _ in known])
    codes = cluster_codes([cluster for _, _, cluster in known])
    low, high = _within(*mean_interval(values - before, confidence=confidence, codes=codes))
    ones = np.ones(len(known))
    found = approximate_randomisation(
        np.stack([ones, values], axis=1),
        np.stack([ones, before], axis=1),
        lambda totals: totals[..., 1] / totals[..., 0],
        seed=seed,
        codes=codes,
    )
    return float(values.mean()), float(before.mean()), low, high, found.p_value, len(known)


def _within(low: float, high: float) -> tuple[float, float]:
    """The interval as far as correlations, and differences of shares, go. NaN stays."""
    return (max(low, -1.0), min(high, 1.0)) if low <= high else (low, high)


def word_changes(aligned: Sequence[tuple[list[str], Any, Any]], *, most: int = _MOST_WORDS) -> tuple[WordChange, ...]:
    """The words whose mean contribution changed most; those of several texts go before those of one."""
    seen: dict[str, list[tuple[float, float]]] = {}
    for words, values, before in aligned:
        own: dict[str, list[tuple[float, float]]] = {}
        for word, new, old in zip(words, values.tolist(), before.tolist(), strict=True):
            own.setdefault(" ".join(word.split()).casefold(), []).append((new, old))
        for word, pairs in own.items():
            n = len(pairs)
            seen.setdefault(word, []).append((sum(new for new, _ in pairs) / n, sum(old for _, old in pairs) / n))
    found = [
        WordChange(
            word, sum(new for new, _ in pairs) / len(pairs), sum(old for _, old in pairs) / len(pairs), len(pairs)
        )
        for word, pairs in seen.items()
    ]
    changed = [one for one in found if one.difference]
    return tuple(sorted(changed, key=lambda one: (one.n < 2, -abs(one.difference), one.word))[:most])
