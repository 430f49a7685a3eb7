"""Tasks that explain another task: what is wrong with them, which samples are drawn, and what is asked of the model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from evalharness.core.canonical import canonical_json, digest
from evalharness.core.errors import UsageError
from evalharness.core.registry import suggestion
from evalharness.core.templating import Template
from evalharness.core.types import Json, Kind, Request, Sample, Sampling

from .attacked import attack_identity, attack_options, attack_problems
from .names import covers
from .render import prompt_json
from .schema import AttackTask, ClassifyTask, ExplainTask, ProbeTask, PromptTask, StudyTask, Suite
from .template import compiled
from .values import as_text
from .variables import Key

__all__ = [
    "WHITE_BOX",
    "KeyOf",
    "answer_faults",
    "asked_of_model",
    "base_of",
    "drawn",
    "explain_identity",
    "explain_problems",
    "explain_requests",
    "study_of",
    "unfit_models",
]

KeyOf = Callable[[Json, tuple[str, ...], Sampling, str], str]
"""(prompt as JSON, continuations, sampling, sample id) → the key of the request."""

WHITE_BOX = frozenset({"integrated_gradients", "attention"})
"""Methods that look into the model."""
_HAS_WEIGHTS = frozenset({"hf-causal", "hf-seq2seq", "hf-classifier", "hf-"})


def base_of(task: StudyTask, suite: Suite) -> PromptTask | ClassifyTask | None:
    """The task that `task` explains or attacks; None where there is none of that name, or it cannot be."""
    found = next((other for other in suite.tasks if other.id == task.of), None)
    fitting = ClassifyTask if isinstance(task, AttackTask) else PromptTask | ClassifyTask
    return found if isinstance(found, fitting) else None


def asked_of_model(base: PromptTask | ClassifyTask) -> Kind:
    """What a model must be able to do for the task `base` to be explained: label probabilities, or likelihoods."""
    return "classify" if isinstance(base, ClassifyTask) else "loglikelihood"


def explain_problems(suite: Suite, task: StudyTask) -> Iterator[tuple[Key, str]]:
    """(key within the task, message) of what is wrong with what it explains and how."""
    other = next((found for found in suite.tasks if found.id == task.of), None)
    if other is None:
        variants = [found.id for found in suite.tasks if covers(task.of, found.id)]
        ids = [found.id for found in suite.tasks if found.id != task.id]
        near = (
            f"; `matrix` makes variants of it: {', '.join(variants[:5])}: name one of them"
            if variants
            else suggestion(task.of, ids) or f"; there is: {', '.join(ids[:10]) or 'no other task'}"
        )
        yield ("of",), f"there is no task {task.of!r}{near}"
        return
    if isinstance(other, ProbeTask) or other is task:
        return  # which tasks it makes is not known here; that a task names itself is said where names are checked
    base = base_of(task, suite)
    if isinstance(task, AttackTask):
        yield from attack_problems(task, base)
        return
    if base is None:
        yield ("of",), f"the task {task.of!r} cannot be explained: name one with classify, choices or prompt"
        return
    labelled = isinstance(base, ClassifyTask) or base.choices is not None
    if labelled:
        for key in ("answer", "against"):
            if getattr(task, key) is not None:
                yield (
                    (key,),
                    f"has no effect: the task {task.of!r} has labels or choices, and `output` says which; remove it",
                )
    elif task.output != "predicted":
        yield (
            ("output",),
            f"has no effect: the task {task.of!r} has neither labels nor choices, and its answer is explained "
            "(`answer`, its reference or its target); remove it",
        )
    elif task.answer is None and base.target is None and getattr(base, "reference", None) is None:
        yield (
            ("of",),
            f"the task {task.of!r} has no answer whose likelihood could be explained; give this task an `answer`, or "
            "that one a `reference`",
        )
    if task.output == "target" and base.target is None:
        yield ("output",), f"the task {task.of!r} has no target; explain what is predicted, or give it a `target`"
    labels = _labels(base)
    if labels and task.output not in ("predicted", "target", "all", *labels):
        near = suggestion(task.output, labels) or f"; it has: {', '.join(labels)}"
        yield ("output",), f"the task {task.of!r} has no label {task.output!r}{near}"
    for key in ("answer", "against"):
        source = getattr(task, key)
        if source is not None:
            try:
                Template(source)
            except UsageError as error:
                yield (key,), str(error)


def _labels(base: PromptTask | ClassifyTask) -> tuple[str, ...]:
    """The labels that the suite itself tells of."""
    own = getattr(base, "labels", None)
    if own:
        return tuple(own)
    choices = getattr(base, "choices", None)
    fixed = isinstance(choices, tuple) and not any("{{" in choice or "{%" in choice for choice in choices)
    return tuple(choices) if fixed and isinstance(choices, tuple) else ()


def unfit_models(suite: Suite, task: StudyTask, names: Sequence[str]) -> Iterator[tuple[Key, str]]:
    """(key within the task, message) for the models `names` that the method cannot be used on."""
    key: Key = ("model",) if task.model is not None else ("of",) if isinstance(task, AttackTask) else ("explain",)
    for name in names:
        backend = str(getattr(suite.models.get(name), "backend", "hf-"))
        shown = f"the model {name.partition('@')[0]!r} (backend {backend})"
        if backend == "replay":
            yield key, f"{shown} has recorded answers, which say nothing of other texts; name a model that can be asked"
        elif isinstance(task, AttackTask):
            continue
        elif task.randomisation and backend not in _HAS_WEIGHTS:
            yield (
                ("quality", "randomisation"),
                f"draws weights of the model anew, and {shown} has none that can be drawn here; leave it out, or "
                "name a model of hf-causal, hf-seq2seq or hf-classifier under `model`",
            )
        elif task.randomisation and getattr(suite.models.get(name), "devices", None) is not None:
            yield (
                ("quality", "randomisation"),
                f"draws weights of the model anew, and {shown} has copies on several GPUs; give it `device` in place "
                "of `devices`",
            )
        elif backend.startswith("hf-"):
            continue
        elif task.explain in WHITE_BOX:
            yield (
                ("explain",),
                f"{task.explain} looks into the model, and {shown} cannot be looked into; use shap, permutation, "
                "occlusion or lime, or name a model of hf-causal or hf-classifier under `model`",
            )
        elif task.players == "tokens":
            yield ("players",), f"{shown} does not show its tokens; use players: words"


def drawn(task: StudyTask, samples: Sequence[Sample], *, seed: int, limit: int | None = None) -> list[Sample]:
    """The samples that are studied, in their order: those of lowest rank, a hash of the seed and what they hold.

    So another model, another run and a baseline draw the same ones, whatever else is in the data.
    """
    limits = [n for n in (task.limit, limit) if n is not None]
    among = list(samples)[: min(limits)] if limits else list(samples)
    if task.sample == "all" or len(among) <= task.sample:
        return among

    def rank(place: int) -> bytes:
        return hashlib.sha256(f"{seed}\n{among[place].digest}\n{among[place].id}".encode("utf-8", "replace")).digest()

    return [among[place] for place in sorted(sorted(range(len(among)), key=rank)[: task.sample])]


def study_of(task: StudyTask, base: PromptTask | ClassifyTask, *, seed: int) -> dict[str, Json]:
    """The procedure and its options: what the runner is told, and what two runs must agree on.

    `asks` is what is asked of the model about each masked text: label probabilities (classify), the likeliest of the
    choices, the log-odds of an answer, or the margin of one answer over another.
    """
    if isinstance(task, AttackTask):
        return attack_options(task, seed=seed)
    if isinstance(base, ClassifyTask):
        asks = "classify"
    elif base.choices is not None:
        asks = "choices"
    else:
        asks = "answer" if task.against is None else "margin"
    # Left out where it is not asked for, so that records from before it are still compared.
    more: dict[str, Json] = {"randomisation": True} if task.randomisation else {}
    if task.options:
        more["options"] = dict(task.options)
    return {
        "procedure": "explain",
        "method": task.explain,
        "asks": asks,
        "max_evals": task.max_evals,
        "players": task.players,
        "output": task.output,
        "mask": task.mask,
        "quality": task.quality is not False,
        "seed": seed,
        **more,
    }


def explain_identity(
    task: StudyTask, of: Mapping[str, str], *, study: Mapping[str, Json], samples: Sequence[Sample]
) -> dict[str, str]:
    """What two runs must agree on, from that of the task that is explained."""
    if isinstance(task, AttackTask):
        return attack_identity(task, of, study=study, samples=samples)
    return {
        "data": digest([of["data"], [sample.digest for sample in samples]]),
        "prompt": digest([of["prompt"], task.answer, task.against]),
        "generation": digest({}),
        "kind": digest({"kind": "study", "of": of["kind"], "study": study}),
    }


def explain_requests(
    task: ExplainTask,
    base: PromptTask | ClassifyTask,
    model: str,
    samples: Sequence[Sample],
    study: Mapping[str, Json],
    key_of: KeyOf,
) -> Iterator[Request]:
    """One request a sample; `key_of` gives its key."""
    asks = study["asks"]
    delimiter = getattr(base, "delimiter", "")
    for sample in samples:
        continuations: tuple[str, ...] = ()
        if asks == "choices":
            continuations = tuple(f"{delimiter}{choice}" for choice in sample.choices)
        elif asks in ("answer", "margin"):
            continuations = tuple(f"{delimiter}{answer}" for answer in answers_of(task, sample))
        own: dict[str, Json] = dict(study)
        if study["output"] == "target":
            own["target"] = sample.target
        sampling = Sampling(study=canonical_json(own))
        yield Request(
            key=key_of(prompt_json(sample.prompt), continuations, sampling, sample.id),
            model=model,
            kind="study",
            sample_id=sample.id,
            prompt=sample.prompt,
            continuations=continuations,
            sampling=sampling,
        )


def answers_of(task: ExplainTask, sample: Sample) -> list[str]:
    """The answer that is explained, and the one that it is held against, where there is one.

    Raises:
        UsageError: the sample has none, or a template does not fit its row.
    """
    sources = [source for source in (task.answer, task.against) if source is not None]
    if sources:
        return [as_text(compiled(source, "").render(sample.fields)) for source in sources]
    if sample.references:
        return [sample.references[0]]
    if sample.target is not None:
        return [sample.target]
    raise UsageError(f"the sample {sample.id!r} has no reference and no target; give the task an `answer`")


def answer_faults(
    task: StudyTask, base: PromptTask | ClassifyTask, samples: Sequence[Sample]
) -> Iterator[tuple[Sample, str, str]]:
    """(sample, key, reason) where a sample cannot be explained."""
    if isinstance(task, AttackTask):
        yield from ((one, "of", f"the sample {one.id!r} has no target") for one in samples if one.target is None)
        return
    has_answer = isinstance(base, PromptTask) and base.choices is None
    for sample in samples:
        if task.output == "target" and sample.target is None:
            yield sample, "output", f"the sample {sample.id!r} has no target"
        if has_answer:
            try:
                answers_of(task, sample)
            except UsageError as error:
                yield sample, "answer", str(error)
