"""From what a user names to what is compared: RUN, RUN:MODEL and RUN:TASK@VARIANT."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import UsageError
from .compression import DEFAULT_MARGIN
from .records import Allowed, Preset, compare_records
from .result import Comparison, Correction
from .subjects import Subject, subject_of

if TYPE_CHECKING:
    from ..record import Record

__all__ = ["compare", "open_subject", "subjects_of"]


def compare(
    *runs: str | Path | Record | Subject,
    baseline: str | Path | Record | Subject | None = None,
    models: Sequence[str] = (),
    confidence: float = 0.95,
    correction: Correction = "bh",
    allow_different: Iterable[Allowed] = (),
    tasks: Iterable[str] = (),
    metrics: Iterable[str] = (),
    n_changed: int = 10,
    preset: Preset | None = None,
    margin: float = DEFAULT_MARGIN,
    reports: str | Path = "reports",
    registry_url: str | None = None,
) -> Comparison:
    """Compare runs on the samples that they have in common; the first is the baseline unless `baseline` names another.

    Args:
        runs: Records, or what names them: a run id or its beginning, `suite@label`, `latest`, a folder, a result file
            of lm-eval's with samples; `RUN:MODEL` and `RUN:TASK@VARIANT` are one model, or one variant, of a run.
        baseline: What all `runs` are compared with.
        models: Models of the one run in `runs`, compared with one another; the first is the baseline.
        confidence: Of the intervals; 1 − confidence is the level at which a difference counts as shown.
        correction: Of the p-values: `bh`, `holm`, `by` or `none`.
        allow_different: What may differ besides the model: `prompts`, `decoding`.
        tasks: Only these tasks.
        metrics: Only these metrics.
        n_changed: How many samples of each figure that got worse, and that got better, are kept with their texts.
        preset: `compression` adds what a quantised, pruned, distilled or fine-tuned model has kept of its base.
        margin: With the preset, how much worse a figure may be and count as kept, as a share of its range.
        reports: The folder of records.
        registry_url: The database of runs, where it is not in `reports`.

    Raises:
        NotComparableError: what must agree differs; the message names each field.
        UsageError: a run is not there, or there is nothing to compare.
    """
    subjects = subjects_of(runs, models=models, reports=Path(reports), url=registry_url)
    if baseline is not None:
        (against,) = subjects_of([baseline], reports=Path(reports), url=registry_url)
    else:
        against, *subjects = subjects
    if not subjects:
        raise UsageError(
            f"{against.name} is one run; name a second one to compare it with, or two of its models: --models A B"
        )
    return compare_records(
        subjects,
        against,
        confidence=confidence,
        correction=correction,
        allow_different=allow_different,
        tasks=tasks,
        metrics=metrics,
        n_changed=n_changed,
        preset=preset,
        margin=margin,
    )


def subjects_of(
    runs: Sequence[str | Path | Record | Subject],
    *,
    models: Sequence[str] = (),
    reports: Path,
    url: str | None = None,
) -> list[Subject]:
    """The subjects that `runs` name, or the `models` of the one run that they name; each record is opened once.

    Raises:
        UsageError: there is no such run or model.
    """
    if not runs:
        raise UsageError("name the runs to compare: evalharness compare RUN RUN")
    opened: dict[str, Record] = {}
    subjects = [open_subject(run, reports=reports, url=url, opened=opened) for run in runs]
    if not models:
        return subjects
    if len(subjects) > 1:
        raise UsageError(
            f"--models compares the models of one run with one another, and {len(subjects)} runs are named; of several "
            f"runs name a model each: {subjects[0].record.id}:{models[0]}"
        )
    return [subject_of(subjects[0].record, name) for name in models]


def open_subject(
    run: str | Path | Record | Subject, *, reports: Path, url: str | None, opened: dict[str, Record] | None = None
) -> Subject:
    """The subject that `run` names; records that are in `opened` by name already are not read again."""
    from ..record.foreign import open_record

    if isinstance(run, Subject):
        return run
    if not isinstance(run, str | Path):
        return Subject(run)
    known = {} if opened is None else opened

    def record(name: str) -> Record:
        if name not in known:
            found = open_record(name, reports=reports, url=url)
            # Two names of one run are one run.
            known[name] = next((r for r in known.values() if r.folder == found.folder), found)
        return known[name]

    name = str(run)
    head, colon, part = name.partition(":")
    if not colon or not head or Path(name).exists() or name[1:3] in (":\\", ":/"):
        return Subject(record(name))
    return subject_of(record(head), part)
