"""One task of lm-eval's from its files: its samples, its figures' rows, and what must agree to compare it.

Digests, signatures and names are those that a run of the same task in a suite has (integrations/lm_eval/tasks.py and
runner/lm_eval_score.py make them there), so that a record and lm-eval's own output pair.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from ..core.canonical import digest
from ..core.errors import UsageError
from ..core.protocols import Metric
from ..core.types import Kind, LogLikelihood, Request, Response, Sample
from ..metrics.aggregations import Aggregation, UnfitItems, aggregation_of
from ..metrics.interval import sample_values
from ..metrics.lm_eval import LmEvalFigure
from .lm_eval_asks import arguments_of, asks_of, kind_of
from .lm_eval_files import LmEvalFiles, lines_of
from .rows import SampleRow, ScoreTable, StatsTable

__all__ = ["ForeignTask", "read_task", "sample_rows"]

_KINDS: Final[Mapping[str, Kind]] = {
    "multiple_choice": "loglikelihood",
    "loglikelihood": "loglikelihood",
    "loglikelihood_rolling": "loglikelihood_rolling",
    "generate_until": "generate",
}
# What lm-eval takes for a metric whose task does not say how it is aggregated; every other one is averaged.
_AGGREGATIONS: Final[Mapping[str, str]] = {
    "f1": "f1",
    "mcc": "matthews_corrcoef",
    "bleu": "bleu",
    "chrf": "chrf",
    "ter": "ter",
    "perplexity": "perplexity",
    "brier_score": "brier_score",
    "word_perplexity": "weighted_perplexity",
    "byte_perplexity": "weighted_perplexity",
    "bits_per_byte": "bits_per_byte",
}
_NOT_SETTINGS: Final = frozenset({"metric", "aggregation", "higher_is_better", "hf_evaluate"})
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")


@dataclass(slots=True)
class ForeignTask:
    """What a record holds of one task; `digests` by the samples' ids, in order.

    `left_out` names figures whose aggregation only lm-eval can compute, and why.
    """

    name: str
    model: str
    kind: Kind
    identity: Mapping[str, str]
    digests: Mapping[str, str]
    n_requests: int
    figures: list[tuple[Metric, StatsTable]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def score_tables(self) -> Iterator[ScoreTable]:
        """Each sample's own value of each figure."""
        for figure, table in self.figures:
            yield ScoreTable(
                table.task,
                table.model,
                table.metric,
                table.sample_ids,
                table.digests,
                sample_values(figure, table.values),
            )


@dataclass(slots=True)
class _Read:
    """What the lines of a file say, by document."""

    digests: dict[str, str] = field(default_factory=dict)
    hashes: list[list[str]] = field(default_factory=list)
    prompts: Any = field(default_factory=hashlib.sha256)
    generations: dict[str, Any] = field(default_factory=dict)
    filters: dict[str, None] = field(default_factory=dict)
    items: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    n_requests: int = 0


def read_task(files: LmEvalFiles, name: str, model: str) -> ForeignTask:
    """The task `name` of a result file, its samples read once.

    Raises:
        UsageError: its samples are not those of the results, or cannot be read.
    """
    config = files.body["configs"].get(name) or {}
    output = str(config.get("output_type") or "generate_until")
    if output not in _KINDS:
        raise UsageError(f"{files.path}: the task {name!r} is of the kind {output!r}, which is not known here")
    found = _read(files, name)
    version = str((files.body.get("versions") or {}).get(name))
    kind = [output, version, _plain(config.get("filter_list"))]
    task = ForeignTask(
        name=name,
        model=model,
        kind=_KINDS[output],
        identity={
            "data": digest(found.hashes),
            "prompt": found.prompts.hexdigest(),
            # In a suite the settings of the task itself stand beside lm-eval's; here it has none.
            "generation": digest([digest(found.generations), {}]),
            "kind": digest(kind),
        },
        digests=found.digests,
        n_requests=found.n_requests,
    )
    for (metric, filter_name), items in found.items.items():
        _add_figure(task, files, config, found, metric, filter_name, items, version)
    return task


def _read(files: LmEvalFiles, name: str) -> _Read:
    found = _Read()
    for line in lines_of(files, name):
        sample_id, filter_name = str(line["doc_id"]), str(line["filter"])
        found.filters[filter_name] = None
        # Every filter has a line of its own for the same document and the same answers.
        if sample_id not in found.digests:
            found.hashes.append([line["doc_hash"], line["target_hash"]])
            found.n_requests += _note(found, line, sample_id)
        for metric in line["metrics"]:
            if metric in line:
                found.items.setdefault((str(metric), filter_name), {})[sample_id] = line[metric]
    return found


def _note(found: _Read, line: Mapping[str, Any], sample_id: str) -> int:
    """Take up the requests of a document; returns how many there are."""
    asks = asks_of(line)
    content = [[ask.kind, ask.prompt, ask.continuations] for ask in asks]
    found.digests[sample_id] = digest([line["doc_hash"], line["target_hash"], content])
    arguments = arguments_of(line)
    for argument in arguments:
        scored = argument[1] if kind_of(argument) == "loglikelihood" else ""
        found.prompts.update(f"{digest([argument[0], scored])}\n".encode())
    for ask in asks:
        if ask.generation:
            found.generations[digest(ask.generation)] = ask.generation
    return len(asks)


def _plain(value: Any) -> Any:
    """Settings without what changes from process to process: where a function lay in memory."""
    if isinstance(value, str):
        return _ADDRESS.sub("", value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


# ── figures ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _add_figure(
    task: ForeignTask,
    files: LmEvalFiles,
    config: Mapping[str, Any],
    found: _Read,
    metric: str,
    filter_name: str,
    items: Mapping[str, Any],
    version: str,
) -> None:
    told: Mapping[str, Any] = next((m for m in config.get("metric_list") or () if m.get("metric") == metric), {})
    how = str(told.get("aggregation") or _AGGREGATIONS.get(metric, "mean"))
    if how == "bypass":
        return
    shown = metric if len(found.filters) == 1 else f"{metric}@{filter_name}"
    name = "".join("_" if c.isspace() or c == "." else c for c in shown)
    rows = _rows(how, list(items.values()))
    reported = (files.body["results"].get(task.name) or {}).get(f"{metric},{filter_name}")
    if rows is None:
        task.left_out.append(f"{task.name}.{name} (only lm-eval can aggregate it)")
        return
    aggregation, values = rows
    better = (files.body.get("higher_is_better") or {}).get(task.name) or {}
    figure = LmEvalFigure(
        name=name,
        subject=_subject(task.name, metric, filter_name, version, _settings(config, told), files),
        aggregation=aggregation,
        higher_is_better=better.get(metric) is not False,
    )
    value = float(figure.finalize(values.sum(axis=0)))
    if isinstance(reported, int | float) and not _same(value, float(reported)):
        # The aggregation is called like one of lm-eval's and is none: no figure is better than a wrong one.
        task.left_out.append(f"{task.name}.{name} (its samples give {value:.6g}, lm-eval says {reported:.6g})")
        return
    ids = list(items)
    table = StatsTable(task.name, task.model, name, ids, [found.digests[i] for i in ids], [None] * len(ids), values)
    task.figures.append((cast(Metric, figure), table))  # frozen, where the protocol would let its names be set


def _rows(how: str, items: Sequence[Any]) -> tuple[Aggregation, Any] | None:
    aggregation = aggregation_of(how, items)
    try:
        if how == "brier_score":
            items = [(gold, _array(probabilities)) for gold, probabilities in items]
        return None if aggregation is None else (aggregation, aggregation.rows(items))
    except (UnfitItems, ValueError, TypeError):
        return None


def _array(written: Any) -> Any:
    """An array, which lm-eval writes as the text that NumPy makes of it: eight digits of each number."""
    return [float(part) for part in written.strip("[]").split()] if isinstance(written, str) else written


def _same(ours: float, theirs: float) -> bool:
    return math.isclose(ours, theirs, rel_tol=1e-6, abs_tol=1e-9) or (math.isnan(ours) and math.isnan(theirs))


def _settings(config: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    if config.get("process_results") is not None:
        return ""
    return ",".join(f"{key}={_plain(told[key])}" for key in sorted(told) if key not in _NOT_SETTINGS)


def _subject(task: str, metric: str, filter_name: str, version: str, settings: str, files: LmEvalFiles) -> str:
    parts = [f"task:{task}", f"metric:{metric}", f"filter:{filter_name}", *(p for p in (version, settings) if p)]
    return "|".join(part.replace("|", "/") for part in [*parts, f"lm-eval:{files.body.get('lm_eval_version') or '?'}"])


# ── samples ───────────────────────────────────────────────────────────────────────────────────────────────────────


def sample_rows(files: LmEvalFiles, task: ForeignTask) -> Iterator[SampleRow]:
    """The samples of a task with their answers, one row a request, each document once."""
    output = str((files.body["configs"].get(task.name) or {}).get("output_type") or "generate_until")
    seen = set()
    for line in lines_of(files, task.name):
        sample_id = str(line["doc_id"])
        if sample_id in seen:
            continue
        seen.add(sample_id)
        yield from _sample(line, task, task.digests[sample_id], output)


def _sample(line: Mapping[str, Any], task: ForeignTask, own: str, output: str) -> Iterator[SampleRow]:
    asks = asks_of(line)
    first = asks[0]
    choices = tuple(first.continuations) if output == "multiple_choice" and len(asks) == 1 else ()
    target = str(line.get("target"))
    sample = Sample(
        id=str(line["doc_id"]),
        digest=own,
        prompt=first.prompt,
        references=(target,) if first.kind == "generate" else (),
        choices=choices,
        target=_target(target, choices) if first.kind == "loglikelihood" else None,
        fields={name: line[name] for name in ("doc_id", "doc_hash", "prompt_hash", "target_hash")},
    )
    answers = line["resps"]
    for repeat, ask in enumerate(asks):
        key = digest([task.model, own, repeat])
        yield SampleRow(
            task=task.name,
            model=task.model,
            sample=sample,
            request=Request(key, task.model, ask.kind, sample.id, ask.prompt, tuple(ask.continuations), repeat=repeat),
            response=_response(key, ask.kind, [answers[place] for place in ask.places], line, choices),
        )


def _target(target: str, choices: Sequence[str]) -> str:
    return choices[int(target)].strip() if target.isdigit() and int(target) < len(choices) else target


def _response(
    key: str, kind: Kind, answers: Sequence[Any], line: Mapping[str, Any], choices: Sequence[str]
) -> Response:
    if kind == "generate":
        text = _first(answers[0]) if answers else None
        filtered = _first(line.get("filtered_resps"))
        read = filtered if isinstance(filtered, str) else None
        return Response(key, text=None if text is None else str(text), answer=read)
    likelihoods = tuple(_likelihood(_first(answer)) for answer in answers)
    answer = None
    if choices and len(likelihoods) == len(choices):
        answer = choices[max(range(len(choices)), key=lambda i: likelihoods[i].total)].strip()
    return Response(key, answer=answer, loglikelihoods=likelihoods)


def _first(found: Any) -> Any:
    while isinstance(found, list) and len(found) >= 1 and not _is_pair(found):
        found = found[0]
    return found


def _is_pair(found: Any) -> bool:
    """Whether that is (log-likelihood, is greedy), which lm-eval writes as two texts."""
    return isinstance(found, list) and len(found) == 2 and str(found[1]) in ("True", "False")


def _likelihood(found: Any) -> LogLikelihood:
    total, greedy = found if _is_pair(found) else (found, "False")
    try:
        return LogLikelihood(float(total), 0, str(greedy) == "True")
    except (TypeError, ValueError):
        return LogLikelihood(math.nan, 0)
