"""Tasks that attack a classifier: what is wrong with them, and what is asked of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalharness.core.canonical import canonical_json, digest
from evalharness.core.errors import DataError, UsageError
from evalharness.core.registry import registry
from evalharness.core.synonyms import read_synonym_file, substitutes_in
from evalharness.core.types import Json, Request, Sample, Sampling

from .render import prompt_json
from .schema import AttackTask, ClassifyTask, PromptTask
from .variables import Key

__all__ = [
    "attack_identity",
    "attack_options",
    "attack_problems",
    "attack_requests",
    "bound_encoder",
    "encoder_identity",
    "encoder_problems",
    "synonym_problems",
]

LEAST_SIMILAR = 0.8


def attack_problems(task: AttackTask, base: PromptTask | ClassifyTask | None) -> Iterator[tuple[Key, str]]:
    """(key within the task, message) of what is wrong with the task that it attacks."""
    if base is None:
        yield ("of",), f"the task {task.of!r} cannot be attacked: name one with classify"
    elif base.target is None:
        yield (
            ("of",),
            f"the task {task.of!r} has no target, so which answers are right is not known; give it a `target`",
        )


def synonym_problems(task: AttackTask, base: Path) -> Iterator[tuple[Key, str]]:
    """(key within the task, message) of what is wrong with its file of synonyms, from the suite's folder."""
    if task.synonyms is None:
        if task.neighbours is None:
            yield (
                ("synonyms",),
                "is missing; add it, a file of words that may stand for one another, or take the nearest words of an "
                "encoder: encoder: catalog:minilm-l6 and neighbours: 20",
            )
        return
    try:
        groups = read_synonym_file(base / task.synonyms)
    except DataError as error:
        for problem in error.problems[:5]:
            yield ("synonyms",), f"line {problem.place.line} of {task.synonyms}: {problem.message}"
        return
    except UsageError as error:
        yield ("synonyms",), str(error)
        return
    if not groups:
        yield ("synonyms",), f"{task.synonyms} lists no words; a line lists two or more, by commas: film, movie"


def encoder_problems(task: AttackTask, base: Path) -> Iterator[tuple[Key, str]]:
    """(key within the task, message) of what is wrong with its encoder; nothing is loaded."""
    if task.encoder is not None:
        yield from ((("encoder",), message) for _, message in _encoder(task).faults(base))


def bound_encoder(task: AttackTask, base: Path) -> Any:
    """The metric `semantic_similarity` over the encoder of `task`, found from `base` and digested; nothing is loaded.

    Raises:
        UsageError: there is no such encoder.
        MissingExtraError: torch or transformers is not installed.
    """
    return _encoder(task).for_run(base=base)


def encoder_identity(bound: Any) -> dict[str, Json]:
    """What stands for an encoder in requests: its digest and how it is read, not where it lies."""
    found: dict[str, Json] = bound.options()
    return found


def _encoder(task: AttackTask) -> Any:
    return registry("metrics").load("semantic_similarity")(checkpoint=task.encoder)


def attack_options(task: AttackTask, *, seed: int) -> dict[str, Json]:
    """The procedure and its options; the substitutes of a text's words are those of its request."""
    # Left out where there is no encoder, so that records from before there were any are still compared.
    more: dict[str, Json] = {}
    if task.encoder is not None:
        more["min_similarity"] = LEAST_SIMILAR if task.min_similarity is None else task.min_similarity
        more["neighbours"] = task.neighbours
    return {
        "procedure": "attack",
        "method": task.attack,
        "asks": "classify",
        "max_queries": task.max_queries,
        "max_candidates": task.max_candidates,
        "max_changed": task.max_changed,
        "seed": seed,
        **more,
    }


def attack_identity(
    task: AttackTask, of: Mapping[str, str], *, study: Mapping[str, Json], samples: Sequence[Sample]
) -> dict[str, str]:
    """What two runs must agree on, from that of the task that is attacked."""
    return {
        "data": digest([of["data"], [sample.digest for sample in samples]]),
        "prompt": of["prompt"],
        "generation": digest({}),
        "kind": digest({"kind": "study", "of": of["kind"], "study": study}),
    }


def attack_requests(
    task: AttackTask,
    model: str,
    samples: Sequence[Sample],
    study: Mapping[str, Json],
    key_of: Callable[[Json, tuple[str, ...], Sampling, str], str],
    base: Path,
) -> Iterator[Request]:
    """One request a sample, with the substitutes of its own words: another line in the file asks no other text again.

    Raises:
        UsageError: the file of synonyms cannot be read.
    """
    groups = {} if task.synonyms is None else read_synonym_file(base / task.synonyms)
    for sample in samples:
        text = sample.prompt if isinstance(sample.prompt, str) else sample.prompt[-1].content
        synonyms: dict[str, Json] = {word: list(found) for word, found in substitutes_in(text, groups).items()}
        own: dict[str, Json] = {**study, "target": sample.target, "row": sample.id, "synonyms": synonyms}
        sampling = Sampling(study=canonical_json(own))
        yield Request(
            key=key_of(prompt_json(sample.prompt), (), sampling, sample.id),
            model=model,
            kind="study",
            sample_id=sample.id,
            prompt=sample.prompt,
            sampling=sampling,
        )
