"""From a suite and its rows to requests: `make_plan`.

A plan holds, for every task and each of its models, the rendered samples and the requests, each under the sha256 of
all that can change its response. Nothing here reads the clock, the network or the environment, and nothing is drawn
without a seed: the same suite and rows give the same keys everywhere.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from evalharness.core.canonical import canonical_json, digest
from evalharness.core.errors import DataError, Place, Problem, SuiteError, UsageError
from evalharness.core.spool import Joined, Picked, Spool
from evalharness.core.types import Json, Kind, Request, Row, Sample, Sampling

from .attacked import attack_requests, bound_encoder, encoder_identity
from .explained import answer_faults, base_of, drawn, explain_identity, explain_requests, study_of
from .kinds import kind_of
from .metric_specs import asks_unconditional
from .origins import origin_of
from .probe_rows import MadeRows, row_notes
from .render import RowFault, is_chat, prompt_json
from .schema import AttackTask, DataTask, Generation, LmEvalTask, ProbeTask, PromptTask, StudyTask, Suite, Task
from .sources import read_source, schema_text, sources_of
from .variant_render import Renderer, few_shots_of, renderer_of, variant_tasks

__all__ = [
    "Plan",
    "PlannedTask",
    "generation_settings",
    "make_plan",
    "models_of",
    "request_key",
    "sampling_json",
    "samplings_of",
]

_MAX_SHOWN = 20
_MAX_FAULTS = 1000


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task on one model.

    `requests` and `request_samples` go together, one pair for each sample and repeat, the repeats of a sample one after
    the other; they lie on the disk, so that a plan of any length takes no memory. `identity` holds named digests
    of what two runs must agree on before their figures may be compared: `data` (the fields that the templates read,
    ids, groups, clusters), `prompt` (templates and examples), `generation` (the task's settings, repeats and seeds
    apart) and `kind` (what is asked and how the answer is read). The model is not part of it.
    """

    task: Task
    model: str
    kind: Kind
    samples: Sequence[Sample]
    requests: Sequence[Request]
    request_samples: Sequence[Sample]
    labels: tuple[str, ...]
    identity: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run asks."""

    tasks: tuple[PlannedTask, ...]
    notes: tuple[str, ...] = ()
    """What a reader of the record should know, such as rows that a probe left out."""

    @property
    def requests(self) -> Sequence[Request]:
        """The requests of all tasks."""
        return Joined(task.requests for task in self.tasks)


def models_of(task: Task, suite: Suite) -> tuple[str, ...]:
    """The names of the models that `task` runs on: by default all but those that only judge.

    A task that explains another runs by default on the models of that one.
    """
    if task.model is None:
        of = base_of(task, suite) if isinstance(task, StudyTask) else None
        return suite.default_models if of is None else models_of(of, suite)
    return (task.model,) if isinstance(task.model, str) else task.model


def make_plan(
    suite: Suite,
    rows: Mapping[str, Sequence[Row]],
    identities: Mapping[str, Mapping[str, Json]],
    *,
    base: Path,
    limit: int | None = None,
    place_of: Callable[[str], Place] | None = None,
) -> Plan:
    """The plan of `suite` over the `rows` of its datasets; what lm-eval brings is planned by the runner.

    Args:
        suite: The suite, in which probes have become the tasks that they make (`expand_probes`).
        rows: The rows of each dataset, by name.
        identities: All that can change the responses of each model; with `by_sample_id` true, the sample's id too.
        base: The suite's folder, for prompt files.
        limit: Use only the first rows of each task; where a probe rewrites rows, the first of those.
        place_of: Where the value at a path of the suite stands (`LoadedSuite.place_of`), for messages.

    Raises:
        SuiteError: a template cannot be compiled, or there are too few examples.
        DataError: rows do not fit their tasks; all of them, though no more than 20 a task are shown.
    """
    planned: list[PlannedTask] = []
    faults: list[Problem] = []
    wrong: list[Problem] = []
    notes: list[str] = []
    for index, task in enumerate(suite.tasks):
        if isinstance(task, LmEvalTask | ProbeTask | StudyTask):
            continue
        chosen = _first(rows[task.dataset], task.limit, limit)
        try:
            notes += row_notes(task, chosen)
            pools = [rows[few_shot.dataset] for few_shot in few_shots_of(task)]
            pool = pools[0] if len(pools) == 1 else Joined(pools)
            renderer = renderer_of(task, base=base, rows=rows)
        except UsageError as error:
            path = f"tasks[{index}]"
            wrong.append(Problem(place_of(path) if place_of else Place("suite"), path, str(error)))
            continue
        samples, bad = _samples(renderer, chosen)
        faults += bad
        if bad:
            continue
        kind = kind_of(task)
        labels = _labels(task, samples)
        identity = _identity(task, renderer, chosen, pool, base)
        for model in models_of(task, suite):
            samplings = _samplings(suite, task, kind, model, base)
            planned.append(
                PlannedTask(
                    task=task,
                    model=model,
                    kind=kind,
                    samples=samples,
                    requests=Spool(_requests(task, kind, model, samples, samplings, identities[model])),
                    request_samples=_repeated(samples, len(samplings)),
                    labels=labels,
                    identity=identity,
                )
            )
    for task in suite.tasks:
        if isinstance(task, StudyTask):
            planned += _explained(suite, task, planned, rows, identities, faults, base=base, limit=limit)
    if wrong:
        raise SuiteError(wrong)
    if faults:
        raise DataError(faults)
    order = {task.id: index for index, task in enumerate(suite.tasks)}
    return Plan(tuple(sorted(planned, key=lambda one: order[one.task.id])), tuple(notes))


def _explained(
    suite: Suite,
    task: StudyTask,
    planned: Sequence[PlannedTask],
    rows: Mapping[str, Sequence[Row]],
    identities: Mapping[str, Mapping[str, Json]],
    faults: list[Problem],
    *,
    base: Path,
    limit: int | None,
) -> list[PlannedTask]:
    """The plan of `task` on each of its models, from the plan of the task that it explains or attacks."""
    of = next((one for one in planned if one.task.id == task.of), None)
    studied = base_of(task, suite)
    if of is None or studied is None:
        return []  # what is wrong with that task is told already
    seed = suite.seed if task.seed is None else task.seed
    samples = drawn(task, of.samples, seed=seed, limit=limit)
    bad = list(answer_faults(task, studied, samples))[:_MAX_SHOWN]
    if bad:
        places = {row.id: row.place for row in rows[studied.dataset]}
        faults += [Problem(places[sample.id], f"tasks.{task.id}.{key}", reason) for sample, key, reason in bad]
        return []
    study = study_of(task, studied, seed=seed)
    if isinstance(task, AttackTask) and task.encoder is not None:
        study["encoder"] = encoder_identity(bound_encoder(task, base))
    found = []
    for model in models_of(task, suite):
        model_digest = digest(identities[model])
        by_sample = bool(identities[model].get("by_sample_id"))

        def key_of(
            prompt: Json,
            continuations: tuple[str, ...],
            sampling: Sampling,
            sample_id: str,
            model_digest: str = model_digest,
            by_sample: bool = by_sample,
        ) -> str:
            own = sample_id if by_sample else None
            return request_key(model_digest, "study", prompt, continuations, sampling_json(sampling), 0, own)

        if isinstance(task, AttackTask):
            requests = attack_requests(task, model, samples, study, key_of, base)
        else:
            requests = explain_requests(task, studied, model, samples, study, key_of)
        found.append(
            PlannedTask(
                task=task,
                model=model,
                kind="study",
                samples=samples,
                requests=Spool(requests),
                request_samples=samples,
                labels=of.labels,
                identity=explain_identity(task, of.identity, study=study, samples=samples),
            )
        )
    return found


def _first(rows: Sequence[Row], *limits: int | None) -> Sequence[Row]:
    given = [n for n in limits if n is not None]
    if given and isinstance(rows, MadeRows):
        return rows.first(min(given))
    return rows[: min(given)] if given else rows


def _repeated(samples: Sequence[Sample], n: int) -> Sequence[Sample]:
    """Each sample `n` times."""
    return samples if n == 1 else Picked(samples, array("Q", (i for i in range(len(samples)) for _ in range(n))))


def _samples(renderer: Renderer, rows: Sequence[Row]) -> tuple[Sequence[Sample], list[Problem]]:
    task = renderer.task
    samples: Spool[Sample] = Spool()
    faults: list[Problem] = []
    for row in rows:
        try:
            samples.append(renderer.sample(row, task.groups))
        except RowFault as fault:
            faults.append(Problem(row.place, f"tasks.{task.id}.{fault.key}", fault.reason))
            if len(faults) == _MAX_FAULTS:
                break
    if len(faults) > _MAX_SHOWN:
        last, rest = faults[_MAX_SHOWN - 1], len(faults) - _MAX_SHOWN
        more = f"{rest} more" if len(faults) < _MAX_FAULTS else f"at least {rest} more"
        faults = [*faults[:_MAX_SHOWN], Problem(last.place, f"tasks.{task.id}.…", f"and {more} rows do not fit")]
    return samples, faults


def _labels(task: DataTask, samples: Sequence[Sample]) -> tuple[str, ...]:
    """The label set: the task's own, else its choices where all samples have the same, else all gold labels."""
    own: tuple[str, ...] | None = getattr(task, "labels", None)
    if own:
        return own
    if isinstance(task, PromptTask) and task.choices is not None:
        first = samples[0].choices if samples else ()
        return first if all(sample.choices == first for sample in samples) else ()
    return tuple(sorted({sample.target for sample in samples if sample.target is not None}))


def _samplings(suite: Suite, task: DataTask, kind: Kind, model: str, base: Path) -> Sequence[Sampling]:
    """How the model is asked, one for each repeat."""
    if kind != "generate":
        shared = True if getattr(task, "score", "all") == "shared" else None
        alone = True if kind == "loglikelihood" and any(asks_unconditional(spec) for spec in task.metrics) else None
        return [Sampling(top_logprobs=getattr(task, "top_logprobs", None), shared_tokens=shared, unconditional=alone)]
    own = task.generate if isinstance(task, PromptTask) else None
    return list(samplings_of(generation_settings(own, suite.models[model].generate, base=base), suite.seed))


def _requests(
    task: DataTask,
    kind: Kind,
    model: str,
    samples: Sequence[Sample],
    samplings: Sequence[Sampling],
    identity: Mapping[str, Json],
) -> Iterator[Request]:
    # The identity is large and the same for all requests: its digest stands for it in their keys.
    model_digest = digest(identity)
    delimiter = task.delimiter if isinstance(task, PromptTask) else ""
    asked = [sampling_json(sampling) for sampling in samplings]
    by_sample = bool(identity.get("by_sample_id"))
    for sample in samples:
        # Choices that are read out of generated text are no part of what is asked.
        continuations = tuple(f"{delimiter}{choice}" for choice in sample.choices) if kind == "loglikelihood" else ()
        prompt = prompt_json(sample.prompt)
        for repeat, sampling in enumerate(samplings):
            yield Request(
                key=request_key(
                    model_digest, kind, prompt, continuations, asked[repeat], repeat, sample.id if by_sample else None
                ),
                model=model,
                kind=kind,
                sample_id=sample.id,
                prompt=sample.prompt,
                continuations=continuations,
                sampling=sampling,
                repeat=repeat,
            )


def request_key(
    model_digest: str,
    kind: Kind,
    prompt: Json,
    continuations: Sequence[str],
    sampling: Json,
    repeat: int,
    sample_id: str | None = None,
) -> str:
    """The sha256 of all that can change a response; `sample_id` for models that are asked by it."""
    content: list[Json] = [model_digest, kind, prompt, continuations, sampling, repeat]
    return digest(content if sample_id is None else [*content, sample_id])


def sampling_json(sampling: Sampling) -> dict[str, Json]:
    """`sampling` in the key of a request; a setting that came later is left out where it is not set."""
    found = asdict(sampling)
    for later in ("json_schema", "top_logprobs", "shared_tokens", "study", "unconditional"):
        if found[later] is None:
            del found[later]
    return found


def generation_settings(task: Generation | None, model: Generation | None, *, base: Path) -> dict[str, Json]:
    """Generation settings; a model's own win over the task's. A schema is its text, also where it is in a file.

    Raises:
        UsageError: the file of a schema cannot be read, or holds none.
    """
    settings: dict[str, Json] = {}
    for part in (task, model):
        if part is not None:
            settings |= part.model_dump(exclude_none=True, exclude={"json_schema"})
            if part.json_schema is not None:
                settings["json_schema"] = schema_text(part.json_schema, base)
    return settings


def samplings_of(settings: Mapping[str, Json], suite_seed: int) -> Iterator[Sampling]:
    """One sampling for each repeat, each with a seed of its own."""
    given = dict(settings)
    repeats: int = given.pop("repeats", 1)  # type: ignore[assignment]
    seed: int = given.pop("seed", suite_seed)  # type: ignore[assignment]
    for repeat in range(repeats):
        # A backend that hands the seed on would give the same answer each time if repeats shared it.
        yield Sampling(**given, seed=seed + repeat)  # type: ignore[arg-type]


def _identity(
    task: DataTask, renderer: Renderer, rows: Sequence[Row], pool: Sequence[Row], base: Path
) -> dict[str, str]:
    # What a probe's metrics read of a row no template may have named.
    names = sorted(renderer.names) if origin_of(task) is None else None
    prompt = _prompt(task, base)
    variants: dict[str, Json] = {name: _prompt(other, base) for name, other in variant_tasks(task)}
    if variants:
        prompt["variants"] = variants
    generation: dict[str, Json] = {}
    kind: dict[str, Json] = {"kind": kind_of(task), "labels": getattr(task, "labels", None)}
    if isinstance(task, PromptTask):
        kind |= {"extract": task.extract, "normalize": task.normalize}
        if task.choice_by != "likelihood":
            kind["choice_by"] = task.choice_by
        if task.score != "all":
            kind["score"] = task.score
        settings = {"max_tokens": 256, "temperature": 0.0} | generation_settings(task.generate, None, base=base)
        generation = {key: value for key, value in settings.items() if key not in ("seed", "repeats")}
    return {
        "data": _data_digest(rows, pool, names, task.groups),
        "prompt": digest(prompt),
        "generation": digest(generation),
        "kind": digest(kind),
    }


def _prompt(task: DataTask, base: Path) -> dict[str, Json]:
    sources = {".".join(map(str, key)): read_source(source, base)[0] for key, source in sources_of(task)}
    prompt: dict[str, Json] = {"sources": sources, "chat": is_chat(task)}
    if isinstance(task, PromptTask):
        roles = [message.role for message in task.messages or ()]
        few_shot = task.few_shot.model_dump() if task.few_shot else None
        if few_shot is not None and few_shot["order"] == 0:
            del few_shot["order"]  # which came later: records from before are comparable with those of today
        prompt |= {"roles": roles, "few_shot": few_shot, "delimiter": task.delimiter}
    return prompt


def _data_digest(
    rows: Sequence[Row], pool: Sequence[Row], names: Sequence[str] | None, groups: Sequence[str] | None
) -> str:
    """The sha256 of what the task reads of its rows (all of them without `names`), and of its examples."""
    running = hashlib.sha256()
    for part in (rows, pool):
        for row in part:
            if names is None:
                content = canonical_json([row.id, row.fields, row.groups, row.cluster])
                running.update(content.encode("utf-8", "surrogatepass") + b"\n")
                continue
            read = {name: row.fields[name] for name in (*names, *(groups or ())) if name in row.fields}
            content = canonical_json([row.id, read, row.groups, row.cluster])
            running.update(content.encode("utf-8", "surrogatepass") + b"\n")
        running.update(b"\n")
    return running.hexdigest()
