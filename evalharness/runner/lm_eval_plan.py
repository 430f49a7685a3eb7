"""lm-eval's tasks in a suite: checked by the index, loaded, and turned into requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from evalharness.core.canonical import digest
from evalharness.core.errors import Problem, SuiteError, UsageError
from evalharness.core.registry import suggestion
from evalharness.core.spool import Spool
from evalharness.core.types import Json, Kind, Request, Sample, Sampling
from evalharness.suite.check import incapable
from evalharness.suite.names import covers, member_id, owner_of
from evalharness.suite.plan import (
    PlannedTask,
    generation_settings,
    models_of,
    request_key,
    sampling_json,
    samplings_of,
)
from evalharness.suite.render import prompt_json
from evalharness.suite.schema import LmEvalTask
from evalharness.suite.variables import Key, shown_path

if TYPE_CHECKING:
    from evalharness.core.protocols import Model
    from evalharness.integrations.lm_eval.index import Found
    from evalharness.integrations.lm_eval.tasks import Chat, LoadedTask, LoadedTasks
    from evalharness.suite.load import LoadedSuite

__all__ = ["LmEvalWork", "lm_eval_problems", "plan_lm_eval"]

_KINDS: Mapping[str, Kind] = {
    "": "generate",
    "generate_until": "generate",
    "loglikelihood": "loglikelihood",
    "multiple_choice": "loglikelihood",
    "loglikelihood_rolling": "loglikelihood_rolling",
}


@dataclass(frozen=True, slots=True)
class LmEvalWork:
    """One task of a suite on one model: what lm-eval loaded, and each of its tasks as planned, in the same order."""

    task: LmEvalTask
    model: str
    loaded: LoadedTasks
    planned: tuple[PlannedTask, ...]


# ── before anything is loaded ─────────────────────────────────────────────────────────────────────────────────────


def lm_eval_problems(loaded: LoadedSuite) -> Iterator[Problem]:
    """What is wrong with the lm_eval tasks of a suite, as far as the index can tell; lm-eval is not imported."""
    tasks = [(i, task) for i, task in enumerate(loaded.suite.tasks) if isinstance(task, LmEvalTask)]
    for index, task in tasks:
        yield from _task_problems(loaded, index, task)


def _task_problems(loaded: LoadedSuite, index: int, task: LmEvalTask) -> Iterator[Problem]:
    from evalharness.integrations.lm_eval.figures import figure_names
    from evalharness.integrations.lm_eval.index import entries, find, leaves
    from evalharness.suite.metric_specs import OPERATIONAL

    def problem(path: Key, message: str) -> Problem:
        return Problem(loaded.place_of(path), shown_path(path), message)

    base: Key = ("tasks", index)
    try:
        known = entries(_include_path(loaded, task))
        found = find(_name(loaded, task), _include_path(loaded, task))
    except UsageError as error:
        key = "include_path" if str(error).startswith("include_path") else "lm_eval"
        yield problem((*base, key), str(error).removeprefix("include_path: "))
        return
    members = leaves(found, known)
    kinds = dict.fromkeys(_KINDS[item.output_type] for item in members if _tells_kind(item))
    for kind in kinds:
        for path, message in incapable(loaded.suite, index, task, kind):
            yield problem(path, message)
    names = {item.name: item for item in members} | {i.name: i for i in known.values() if i.kind == "group"}
    gates = loaded.suite.gates
    for position, rule in enumerate(gates.rules if gates is not None else ()):
        name, _, figure = rule.metric.rpartition(".")
        _, slash, member = name.partition("@")[0].partition("/")
        if not covers(owner_of(name), task.id) or "::" in member:
            continue
        path = ("gates", "rules", position, "metric")
        if slash and member not in names:
            near = suggestion(member, names) or f"; it has: {', '.join(sorted(item.name for item in members)[:10])}"
            yield problem(path, f"the lm-eval task {found.name!r} has no {member!r} in it{near}")
            continue
        figures = figure_names(names[member] if slash else found)
        if figures is not None and figure not in (*figures, *OPERATIONAL):
            near = suggestion(figure, [*figures, *OPERATIONAL]) or f"; it has: {', '.join(figures)}"
            yield problem(path, f"the task {name!r} has no figure {figure!r}{near}")


def _tells_kind(item: Found) -> bool:
    return item.kind == "task" and item.output_type in _KINDS


def _include_path(loaded: LoadedSuite, task: LmEvalTask) -> list[str] | None:
    return [str(loaded.base / folder) for folder in task.include_paths] or None


def _name(loaded: LoadedSuite, task: LmEvalTask) -> str:
    if not task.lm_eval.endswith((".yaml", ".yml")):
        return task.lm_eval
    return str(loaded.base / task.lm_eval)


# ── the plan ──────────────────────────────────────────────────────────────────────────────────────────────────────


def plan_lm_eval(
    loaded: LoadedSuite,
    models: Mapping[str, Model],
    identities: Mapping[str, Mapping[str, Json]],
    *,
    limit: int | None = None,
    allow_code: bool = False,
) -> list[LmEvalWork]:
    """The lm_eval tasks of a suite, loaded, with the requests to each of their models.

    Args:
        loaded: The suite.
        models: The models, made but not opened; without one its chat turns are left for it to render.
        identities: All that can change the responses of each model.
        limit: Use only the first documents of each task.
        allow_code: Whether code of tasks may run.

    Raises:
        SuiteError: tasks cannot be loaded, or a model cannot do what they ask; all problems at once.
    """
    works: list[LmEvalWork] = []
    problems: list[Problem] = []
    for index, task in enumerate(loaded.suite.tasks):
        if not isinstance(task, LmEvalTask):
            continue
        # Imported here: suites without such tasks need nothing of lm-eval.
        from evalharness.integrations.lm_eval.tasks import load

        made: dict[Chat | None, LoadedTasks] = {}
        for model in models_of(task, loaded.suite):
            # A model's template makes requests of its own; without one, models share what was loaded.
            chat = getattr(models.get(model), "chat_text", None) if task.apply_chat_template else None
            try:
                if chat not in made:
                    made[chat] = load(
                        _name(loaded, task), _options(loaded, task, limit), chat=chat, allow_code=allow_code
                    )
                defaults = cache(getattr(models.get(model), "sampling_defaults", dict))
                works.append(_work(loaded, task, model, made[chat], identities[model], defaults))
            except UsageError as error:
                path: Key = ("tasks", index, "lm_eval")
                problems.append(Problem(loaded.place_of(path), shown_path(path), str(error)))
                break
            for kind in {kind for part in made[chat].tasks for kind in part.kinds}:
                problems += [
                    Problem(loaded.place_of(path), shown_path(path), message)
                    for path, message in incapable(loaded.suite, index, task, kind)
                ]
    if problems:
        raise SuiteError(problems)
    return works


def _options(loaded: LoadedSuite, task: LmEvalTask, limit: int | None) -> Any:
    from evalharness.integrations.lm_eval.tasks import Options

    limits = [n for n in (task.limit, limit) if n is not None]
    return Options(
        include_path=_include_path(loaded, task),
        num_fewshot=task.num_fewshot,
        limit=min(limits, default=None),
        seed=task.seed,
        apply_chat_template=task.apply_chat_template,
        fewshot_as_multiturn=task.fewshot_as_multiturn is not False,
        system_instruction=task.system_instruction,
        metadata=task.metadata,
        groups=task.groups,
    )


def _work(
    whole: LoadedSuite,
    task: LmEvalTask,
    model: str,
    loaded: LoadedTasks,
    identity: Mapping[str, Json],
    defaults: Callable[[], Mapping[str, Json]],
) -> LmEvalWork:
    suite = whole.suite
    own = generation_settings(task.generate, suite.models[model].generate, base=whole.base)
    of_task = generation_settings(task.generate, None, base=whole.base)
    # How often a task asks is part of how it is scored.
    own.pop("repeats", None)
    planned = []
    for part in loaded.tasks:
        requests: Spool[Request] = Spool()
        samples: list[Sample] = []
        for request, sample in _requests(part, model, identity, own, suite.seed, defaults):
            requests.append(request)
            samples.append(sample)
        name = task.id if loaded.single else member_id(task.id, part.name)
        settings = {
            **part.identity,
            "generation": digest([part.identity["generation"], of_task]),
        }
        planned.append(
            PlannedTask(
                task=task.model_copy(update={"id": name}),
                model=model,
                kind=part.kinds[0],
                samples=tuple(document.sample for document in part.documents),
                requests=requests,
                request_samples=samples,
                labels=(),
                identity=settings,
            )
        )
    return LmEvalWork(task, model, loaded, tuple(planned))


def _requests(
    part: LoadedTask,
    model: str,
    identity: Mapping[str, Json],
    own: Mapping[str, Json],
    seed: int,
    defaults: Callable[[], Mapping[str, Json]],
) -> Iterator[tuple[Request, Sample]]:
    """The requests of a task, document by document, in the order of its asks and their repeats."""
    model_digest, by_sample = digest(identity), bool(identity.get("by_sample_id"))
    for document in part.documents:
        sample = document.sample
        place = 0
        for ask in document.asks:
            samplings: Sequence[Sampling] = [Sampling()]
            if ask.kind == "generate":
                settings = {**ask.generation, **own, "repeats": ask.repeats}
                if settings.get("temperature"):
                    # lm-eval leaves what neither says to the checkpoint, and to transformers.
                    settings = {**defaults(), **settings}
                settings["stop"] = tuple(settings.get("stop") or ())  # type: ignore[arg-type]
                samplings = list(samplings_of(settings, seed))
            for repeat, sampling in enumerate(samplings):
                key = request_key(
                    model_digest,
                    ask.kind,
                    prompt_json(ask.prompt),
                    ask.continuations,
                    sampling_json(sampling),
                    repeat,
                    f"{sample.id}#{place}" if by_sample else None,
                )
                yield (
                    Request(
                        key=key,
                        model=model,
                        kind=ask.kind,
                        sample_id=sample.id,
                        prompt=ask.prompt,
                        continuations=ask.continuations,
                        sampling=sampling,
                        # Tells a document's requests apart in the record: contexts, and repeats of each.
                        repeat=place,
                    ),
                    sample,
                )
                place += 1
