"""Records as known-bad models would have made them: recorded answers, spoilt, scored again by the suite's metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.core.types import Kind, Response
from evalharness.record import Record
from evalharness.suite.check import check_references
from evalharness.suite.expand import expand_probes
from evalharness.suite.schema import LmEvalTask, OnError

from .answers import reader_of
from .judged import judgement_digests
from .knownbad import KNOWN_BAD, KnownBad, lopsided
from .refusals import unmarked
from .rescore import answered_again
from .scoring import Answered
from .seal import AnsweredTask, Provenance, score_and_seal, utc_now

if TYPE_CHECKING:
    from evalharness.suite.load import LoadedSuite
    from evalharness.suite.schema import Suite

__all__ = ["AS_RECORDED", "spoilt_records"]

AS_RECORDED = "as recorded"


def spoilt_records(
    record: Record, loaded: LoadedSuite, *, folder: Path, allow_code: bool = False
) -> Iterator[tuple[KnownBad | None, Record]]:
    """First the record scored by the suite as it is (None), then as each known-bad model would have made it.

    Tasks that a model has nothing to spoil in, and lm-eval's, which score their answers themselves, are not in its
    record; nor are figures of judges, who would have to be asked. The records lie in `folder` and are not registered.

    Raises:
        NotComparableError: the suite asks something else than the record has answers for; it names the field.
        UsageError: the suite is wrong, or names a task that the record does not have.
    """
    loaded, more = expand_probes(loaded)
    check_references(loaded, environ=None, secrets=False, more=more)
    suite = _forgiving(loaded.suite)
    tasks, judgements = answered_again(record, loaded)

    def sealed(name: str, tasks: Sequence[AnsweredTask], *, judged: bool) -> Record:
        return score_and_seal(
            suite,
            tasks,
            Provenance(
                run_id=name.replace(" ", "-"),
                name=name,
                created_utc=utc_now(),
                models=record.manifest.models,
                datasets=record.manifest.datasets,
                execution={"n_asked": 0},
                notes=(f"self-test on {record.id}: {name}",),
                parent=record.id,
            ),
            runs=folder,
            base=loaded.base,
            allow_code=allow_code,
            judgements=judgement_digests(judgements) if judged else None,
        )

    yield None, sealed(AS_RECORDED, tasks, judged=True)
    columns = dict.fromkeys(
        column
        for task in tasks
        if not isinstance(task.task, LmEvalTask)
        for item in task.answered
        for column in item.sample.groups
    )
    for bad in (*KNOWN_BAD, *map(lopsided, columns)):
        spoilt = [found for task in tasks if (found := _spoilt(task, bad, suite)) is not None]
        if spoilt:
            yield bad, sealed(bad.name, spoilt, judged=False)


def _forgiving(suite: Suite) -> Suite:
    """The suite with rules alone deciding: `on_error` would fail all of them at once, whatever each one can see."""
    policy = suite.execution.on_error
    count_as = "wrong" if policy.count_as == "wrong" else "excluded"
    execution = suite.execution.model_copy(update={"on_error": OnError(count_as=count_as, max_rate=1.0)})
    return suite.model_copy(update={"execution": execution})


def _spoilt(task: AnsweredTask, bad: KnownBad, suite: Suite) -> AnsweredTask | None:
    import numpy as np

    if isinstance(task.task, LmEvalTask) or not len(task.answered):
        return None
    items = list(task.answered)
    samples = [item.sample for item in items]
    raw = [_as_it_came(item.response, task.kind) for item in items]
    rng = np.random.default_rng(suite.seed)
    responses = bad.spoil(task.kind, samples, raw, rng)
    if responses is None:
        return None
    read = reader_of(task.task, refusals=task.kind == "generate" and suite.execution.detect_refusals)
    answered = [
        Answered(item.sample, read(item.sample, response), item.repeat)
        for item, response in zip(items, responses, strict=True)
    ]
    return replace(task, answered=answered, done=())


def _as_it_came(response: Response, kind: Kind) -> Response:
    """The response in the state that it came in, before anything was read from its text or said about it."""
    response = unmarked(response)
    if "judged" in response.meta:
        response = replace(response, meta={name: value for name, value in response.meta.items() if name != "judged"})
    if kind not in ("classify", "study") and response.status == "unparsed":
        return replace(response, status="ok")
    return response
