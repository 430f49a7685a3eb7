"""What came of judging, as a run and a re-scoring hand it on; light to load, for most suites have no judge."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from evalharness.core.types import Json, Request, Response, Sample

if TYPE_CHECKING:
    from .execute import Answers
    from .judgement import Judgement
    from .seal import AnsweredTask

    Judgements: TypeAlias = Mapping[tuple[str, str], Sequence[Judgement]]
    """The judgings by task and model."""

__all__ = ["Judged", "Rejudged", "judged_bodies", "judgement_digests"]


@dataclass(frozen=True, slots=True)
class Judged:
    """The tasks with what the judges said in their answers; `answers` and `requests` are those of the judges."""

    tasks: list[AnsweredTask]
    requests: Sequence[Request] = ()
    answers: Answers | None = None
    judgements: Judgements = field(default_factory=dict)

    @property
    def places(self) -> dict[str, array[int]]:
        """The places of the requests by judge."""
        found: dict[str, array[int]] = {}
        for place, request in enumerate(self.requests):
            found.setdefault(request.model, array("q")).append(place)
        return found


@dataclass(frozen=True, slots=True)
class Rejudged:
    """The judgings of a recorded task on one model, and the names that they have in the record."""

    judgements: tuple[Judgement, ...] = ()
    recorded: tuple[str, ...] = ()

    def of(self, sample: Sample, response: Response, repeat: int) -> Response:
        """`response` with the judgements that the suite asks for, under its names, and with its ratings."""
        judged: Any = response.meta.get("judged")
        if not isinstance(judged, Mapping):
            return response
        found: dict[str, Json] = {}
        for judgement, name in zip(self.judgements, self.recorded, strict=True):
            if name in judged:
                kept = {key: value for key, value in judged[name].items() if key != "human"}
                found[judgement.figure] = kept | judgement.human(sample, repeat)
        rest = {key: value for key, value in response.meta.items() if key != "judged"}
        return replace(response, meta={**rest, "judged": found} if found else rest)


def judgement_digests(judgements: Judgements) -> dict[tuple[str, str], dict[str, str]]:
    """The digest of each judging, by task and model, and by figure."""
    return {place: {judgement.figure: judgement.digest for judgement in found} for place, found in judgements.items()}


def judged_bodies(judgements: Judgements) -> list[Json]:
    """What the record keeps of each judging, so that it can be told from another one."""
    return [
        {
            "task": judgement.task,
            "model": judgement.model,
            "figure": judgement.figure,
            "judgement": judgement.digest,
            "rubric": judgement.metric.rubric_text,
            "parts": dict(judgement.parts),
        }
        for found in judgements.values()
        for judgement in found
    ]
