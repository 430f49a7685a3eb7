"""Models that are bad beyond doubt, made out of recorded answers: nothing is asked.

Each takes the answers of one task and spoils them, or returns None where that kind of task has nothing to spoil.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from evalharness.core.types import FAILED_STATES, Json, Kind, LogLikelihood, Response, Sample

if TYPE_CHECKING:
    import numpy as np

__all__ = ["KNOWN_BAD", "KnownBad", "lopsided"]

Spoil: TypeAlias = "Callable[[Kind, Sequence[Sample], Sequence[Response], np.random.Generator], list[Response] | None]"

_ROLLING: Final = "loglikelihood_rolling"
_REFUSAL: Final = "I'm sorry, but I can't help with that."
_TIMES_SLOWER: Final = 100
_TIMES_OVER: Final = 10
_TIMES_MORE_SURPRISED: Final = 1.5


@dataclass(frozen=True, slots=True)
class KnownBad:
    """A known-bad model: what it is called, what it does, and how it spoils the answers of a task."""

    name: str
    does: str
    spoil: Spoil


def _empty(
    kind: Kind, samples: Sequence[Sample], responses: Sequence[Response], rng: np.random.Generator
) -> list[Response] | None:
    if kind == "generate":
        return [replace(r, status="ok", text="", answer=None, output_tokens=0) for r in responses]
    if kind == "classify":
        return [replace(r, status="unparsed", text="", answer=None, label_probabilities={}) for r in responses]
    return None


def _shuffled(
    kind: Kind, samples: Sequence[Sample], responses: Sequence[Response], rng: np.random.Generator
) -> list[Response] | None:
    return _passed_on(kind, responses, rng.permutation(len(responses)).tolist())


def _degraded(
    kind: Kind, samples: Sequence[Sample], responses: Sequence[Response], rng: np.random.Generator
) -> list[Response] | None:
    if kind == _ROLLING:
        return [_surprised(response) for response in responses]
    few = max(2, len(responses) // 4)
    return _passed_on(kind, responses, rng.permutation(len(responses))[:few].tolist())


def _passed_on(kind: Kind, responses: Sequence[Response], order: Sequence[int]) -> list[Response] | None:
    """Each of the answers that `order` names goes to the sample that the next one belongs to."""
    if kind in (_ROLLING, "study") or len(order) < 2:
        return None  # an explanation of another text would explain nothing of anybody's
    found = list(responses)
    # Likelihoods belong to the choices of their sample: they go round among those with as many.
    rings: dict[int, list[int]] = {}
    for place in order:
        rings.setdefault(len(responses[place].loglikelihoods), []).append(place)
    for ring in rings.values():
        for place, source in zip(ring, ring[1:] + ring[:1], strict=True):
            found[place] = _answering_as(responses[place], responses[source])
    return found


def _answering_as(response: Response, other: Response) -> Response:
    return replace(
        response,
        status=other.status,
        text=other.text,
        answer=other.answer,
        loglikelihoods=other.loglikelihoods,
        label_probabilities=other.label_probabilities,
        finish_reason=other.finish_reason,
        error=other.error,
    )


def _surprised(response: Response) -> Response:
    worse = tuple(replace(x, total=x.total * _TIMES_MORE_SURPRISED) for x in response.loglikelihoods)
    return replace(response, loglikelihoods=worse)


def _truncated(
    kind: Kind, samples: Sequence[Sample], responses: Sequence[Response], rng: np.random.Generator
) -> list[Response] | None:
    if kind != "generate":
        return None
    return [
        replace(r, text=r.text[: len(r.text) // 4], answer=None, status="truncated", finish_reason="length")
        if r.text and r.status not in FAILED_STATES
        else r
        for r in responses
    ]


def _constant(
    kind: Kind, samples: Sequence[Sample], responses: Sequence[Response], rng: np.random.Generator
) -> list[Response] | None:
    if kind in (_ROLLING, "study"):
        return None
    if kind == "loglikelihood":
        return [_first_choice(response) for response in responses]
    usable = [r for r in responses if r.status not in FAILED_STATES and (r.text or r.answer)]
    if not usable:
        return None
    # The most frequent label where there are labels: what a model says that has learned nothing else.
    gold = Counter(sample.target for sample in samples if sample.target is not None).most_common(1)
    of_gold = [r for r in usable if gold and gold[0][0] in (r.answer, (r.text or "").strip())]
    said = Counter(r.text or r.answer for r in usable).most_common(1)[0][0]
    chosen = (of_gold or [r for r in usable if (r.text or r.answer) == said])[0]
    return [_answering_as(response, chosen) for response in responses]


def _first_choice(response: Response) -> Response:
    return _choosing(response, 0)


def _choosing(response: Response, choice: int) -> Response:
    likely = tuple(
        LogLikelihood(total=0.0 if place == choice else -100.0, n_tokens=x.n_tokens, is_greedy=place == choice)
        for place, x in enumerate(response.loglikelihoods)
    )
    return replace(response, loglikelihoods=likely, answer=None)


def _refusing(
    kind: Kind, samples: Sequence[Sample], responses: Sequence[Response], rng: np.random.Generator
) -> list[Response] | None:
    if kind != "generate":
        return None
    return [replace(r, status="refusal", text=_REFUSAL, answer=None, finish_reason="stop") for r in responses]


def _failing(
    kind: Kind, samples: Sequence[Sample], responses: Sequence[Response], rng: np.random.Generator
) -> list[Response] | None:
    lost = set(rng.permutation(len(responses))[: math.ceil(len(responses) / 2)].tolist())
    return [
        Response(key=r.key, status="error", error="spoilt by the self-test") if place in lost else r
        for place, r in enumerate(responses)
    ]


def _slow(
    kind: Kind, samples: Sequence[Sample], responses: Sequence[Response], rng: np.random.Generator
) -> list[Response] | None:
    return [
        replace(
            r,
            latency_s=_times(r.latency_s),
            input_tokens=None if r.input_tokens is None else r.input_tokens * _TIMES_SLOWER,
            output_tokens=None if r.output_tokens is None else r.output_tokens * _TIMES_SLOWER,
            meta={**r.meta, **{name: _times(r.meta[name]) for name in ("cost_usd", "ttft_s") if name in r.meta}},
        )
        for r in responses
    ]


def _verbose(
    kind: Kind, samples: Sequence[Sample], responses: Sequence[Response], rng: np.random.Generator
) -> list[Response] | None:
    if kind != "generate":
        return None
    return [
        replace(
            r,
            text=" ".join([r.text] * _TIMES_OVER),
            answer=None,
            output_tokens=None if r.output_tokens is None else r.output_tokens * _TIMES_OVER,
        )
        if r.text and r.status not in FAILED_STATES
        else r
        for r in responses
    ]


def lopsided(column: str) -> KnownBad:
    """The model that is bad to all but the first group of `column`: what rules on gaps and flips are there for."""

    def spoil(
        kind: Kind, samples: Sequence[Sample], responses: Sequence[Response], rng: np.random.Generator
    ) -> list[Response] | None:
        levels = [sample.groups.get(column) for sample in samples]
        known = list(dict.fromkeys(level for level in levels if level is not None))
        if kind == "study" or len(known) < 2:
            return None
        places = [
            place
            for place, (level, response) in enumerate(zip(levels, responses, strict=True))
            if level in known[1:] and response.status not in FAILED_STATES
        ]
        found = list(responses)
        for place, response in zip(places, _all_alike(kind, samples, responses, places), strict=True):
            found[place] = response
        return found

    return KnownBad(f"lopsided ({column})", f"answers all but the first group of {column} alike", spoil)


def _all_alike(
    kind: Kind, samples: Sequence[Sample], responses: Sequence[Response], places: Sequence[int]
) -> Iterable[Response]:
    """The same answer at all `places`: the one that was seldom given there, so that many change."""
    those = [responses[place] for place in places]
    if kind == _ROLLING:
        return map(_surprised, those)
    if kind == "loglikelihood":
        fewest = min((len(r.loglikelihoods) for r in those), default=0)
        likeliest = Counter(max(range(fewest), key=lambda i: r.loglikelihoods[i].total) for r in those if fewest)
        rarest = min(range(fewest), key=lambda choice: likeliest[choice], default=0)
        return (_choosing(r, rarest) for r in those)
    usable = {_said(r): r for r in reversed(responses) if r.status not in FAILED_STATES and _said(r)}
    labels = [label for r in usable.values() for label in r.label_probabilities or ()]
    targets = [sample.target for sample in samples if sample.target]
    counts = Counter(map(_said, those))
    said = min([*usable, *labels, *targets], key=lambda text: counts[text], default="")
    if kind == "classify":
        return (
            replace(
                r,
                answer=said,
                label_probabilities={k: float(k == said) for k in {**(r.label_probabilities or {}), said: 0.0}},
            )
            for r in those
        )
    donor = usable.get(said)
    if donor is not None:
        return (_answering_as(r, donor) for r in those)
    return (replace(r, status="ok", text=said, answer=None) for r in those)


def _said(response: Response) -> str:
    return response.answer or (response.text or "").strip()


def _times(value: Json) -> float | None:
    return float(value) * _TIMES_SLOWER if isinstance(value, int | float) and not isinstance(value, bool) else None


KNOWN_BAD: Final[tuple[KnownBad, ...]] = (
    KnownBad("empty", "answers nothing", _empty),
    KnownBad("shuffled", "gives each sample the answer to another", _shuffled),
    KnownBad("truncated", "stops after the first quarter of each answer", _truncated),
    KnownBad("constant", "always says the same: the most frequent label, the first choice", _constant),
    KnownBad(
        "degraded", "gives every fourth answer to another sample; likelihoods: half as surprised again", _degraded
    ),
    KnownBad("verbose", f"says each answer {_TIMES_OVER} times over", _verbose),
    KnownBad("refusing", "declines to answer", _refusing),
    KnownBad("failing", "fails on every second request", _failing),
    KnownBad("slow", f"takes {_TIMES_SLOWER} times the time, tokens and money", _slow),
)
