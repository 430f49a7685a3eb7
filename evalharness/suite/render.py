"""Renders a task's rows to samples: prompt or turns, worked examples, choices, references, gold label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalharness.core.canonical import digest
from evalharness.core.errors import UsageError
from evalharness.core.templating import Template
from evalharness.core.types import Json, Message, Prompt, Row, Sample

from .fewshot import drawer
from .origins import source_of
from .probe_rows import base_id
from .schema import ClassifyTask, DataTask, FewShot, PerplexityTask, PromptTask
from .sources import history_source, template_of
from .values import as_text, as_texts, as_turns, label_text, right_choice

__all__ = ["RowFault", "TaskRenderer", "content_digest", "is_chat", "prompt_json"]


class RowFault(Exception):
    """A row does not fit its task; `key` says which template, `reason` why."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key, self.reason = key, reason


def is_chat(task: DataTask) -> bool:
    """Whether the model's chat template is applied."""
    return isinstance(task, PromptTask) and (task.messages is not None or bool(task.chat))


def prompt_json(prompt: Prompt) -> Json:
    """A prompt as plain JSON: the text, or a list of [role, content]."""
    return prompt if isinstance(prompt, str) else [[turn.role, turn.content] for turn in prompt]


def content_digest(prompt: Prompt, references: Sequence[str], choices: Sequence[str], target: str | None) -> str:
    """The sha256 on which the samples of two runs are paired."""
    return digest([prompt_json(prompt), references, choices, target])


class TaskRenderer:
    """The templates of a task, compiled once.

    Raises:
        UsageError: a template cannot be read or compiled, or there are too few examples.
    """

    def __init__(self, task: DataTask, *, base: Path, pool: Sequence[Row] = ()) -> None:
        """Compile the templates of `task`; `pool` are the rows of its few-shot dataset."""
        self.task = task
        self._base = base
        self._templates: list[Template] = []
        self._labels = tuple(getattr(task, "labels", None) or ())
        self._references: Sequence[Template] = ()
        self._choices: Template | Sequence[Template] | None = None
        self._answer: Template | None = None
        self._draw: Callable[[Row], list[Row]] | None = None
        self._examples: dict[str, tuple[Prompt, str]] = {}
        target = getattr(task, "target", None)
        self._target = None if target is None else self._compile(target)
        self._question: Callable[[Mapping[str, Any]], Prompt]
        if isinstance(task, PerplexityTask):
            self._question = self._text("perplexity", self._compile(task.perplexity))
        elif isinstance(task, ClassifyTask):
            self._question = self._text("classify", self._compile(task.classify))
        else:
            self._prepare(task, pool)

    @property
    def names(self) -> frozenset[str]:
        """The fields that the templates read."""
        return frozenset().union(*(template.names for template in self._templates))

    def _compile(self, source: Any) -> Template:
        template = template_of(source, self._base)
        self._templates.append(template)
        return template

    def _prepare(self, task: PromptTask, pool: Sequence[Row]) -> None:
        if task.messages is not None:
            self._question = self._turns(task)
        elif task.prompt is not None:
            text = self._text("prompt", self._compile(task.prompt))
            self._question = (lambda fields: (Message("user", str(text(fields))),)) if task.chat else text
        reference = task.reference
        if reference is not None:
            sources = (reference,) if isinstance(reference, str) else reference
            self._references = [self._compile(source) for source in sources]
        if isinstance(task.choices, str):
            self._choices = self._compile(task.choices)
        elif task.choices is not None:
            self._choices = [self._compile(source) for source in task.choices]
        if task.few_shot is not None:
            if task.few_shot.answer is not None:
                self._answer = self._compile(task.few_shot.answer)
            source = source_of(task)
            rewritten = source != task.dataset
            self._draw = drawer(
                task.few_shot,
                pool,
                same_dataset=task.few_shot.dataset == source,
                id_of=base_id if rewritten else None,
            )

    def _text(self, key: str, template: Template) -> Callable[[Mapping[str, Any]], str]:
        def render(fields: Mapping[str, Any]) -> str:
            with _Key(key):
                value = template.render(fields)
                return value if isinstance(value, str) else as_text(value)

        return render

    def _turns(self, task: PromptTask) -> Callable[[Mapping[str, Any]], tuple[Message, ...]]:
        parts: list[Callable[[Mapping[str, Any]], tuple[Message, ...]]] = []
        for index, message in enumerate(task.messages or ()):
            if message.history is not None:
                parts.append(self._history(index, self._compile(history_source(message.history))))
            elif message.role is not None and message.content is not None:
                text = self._text(f"messages[{index}].content", self._compile(message.content))
                parts.append(lambda fields, role=message.role, text=text: (Message(role, text(fields)),))  # type: ignore[misc]

        def render(fields: Mapping[str, Any]) -> tuple[Message, ...]:
            turns = tuple(turn for part in parts for turn in part(fields))
            if not turns:
                raise RowFault("messages", "there is no turn: the history of this row is empty")
            return turns

        return render

    def _history(self, index: int, template: Template) -> Callable[[Mapping[str, Any]], tuple[Message, ...]]:
        def render(fields: Mapping[str, Any]) -> tuple[Message, ...]:
            with _Key(f"messages[{index}].history"):
                return as_turns(template.render(fields))

        return render

    def sample(self, row: Row, groups: Sequence[str] | None = None) -> Sample:
        """The sample of `row`; `groups` are the task's own group columns.

        Raises:
            RowFault: the row does not fit.
        """
        fields = row.fields
        prompt = self._question(fields)
        choices = self._choice_texts(fields)
        references = self._reference_texts(fields)
        target = self._target_text(fields, choices)
        if self._draw is not None:
            prompt = self._with_examples(prompt, self._draw(row))
        return Sample(
            id=row.id,
            digest=content_digest(prompt, references, choices, target),
            prompt=prompt,
            references=references,
            choices=choices,
            target=target,
            groups=row.groups if groups is None else _groups(row, groups),
            cluster=row.cluster,
            fields=fields,
        )

    def _choice_texts(self, fields: Mapping[str, Any]) -> tuple[str, ...]:
        if self._choices is None:
            return ()
        with _Key("choices"):
            if isinstance(self._choices, Template):
                value = self._choices.render(fields)
                if not isinstance(value, list):
                    raise UsageError('must give a list, with one expression alone: "{{ options }}"')
            else:
                value = [template.render(fields) for template in self._choices]
            choices = tuple(as_text(item) for item in value)
            if len(choices) < 2:
                raise UsageError(f"must be two or more to choose from; this row has {len(choices)}")
            return choices

    def _reference_texts(self, fields: Mapping[str, Any]) -> tuple[str, ...]:
        if not self._references:
            return ()
        with _Key("reference"):
            return tuple(text for template in self._references for text in as_texts(template.render(fields)))

    def _target_text(self, fields: Mapping[str, Any], choices: Sequence[str]) -> str | None:
        if self._target is None:
            return None
        with _Key("target"):
            value = self._target.render(fields)
            return right_choice(value, choices) if choices else label_text(value, self._labels)

    def _with_examples(self, prompt: Prompt, rows: Sequence[Row]) -> Prompt:
        task = self.task
        spec: FewShot = task.few_shot  # type: ignore[union-attr, assignment]
        examples = [self._example(row) for row in rows]
        if isinstance(prompt, str):
            delimiter = task.delimiter  # type: ignore[union-attr]
            worked = [f"{question}{delimiter}{answer}" for question, answer in examples]
            return spec.separator.join([*worked, prompt])
        system = 0
        while system < len(prompt) and prompt[system].role == "system":
            system += 1
        turns = [
            turn
            for question, answer in examples
            for turn in (
                *(t for t in question if isinstance(t, Message) and t.role != "system"),
                Message("assistant", answer),
            )
        ]
        return (*prompt[:system], *turns, *prompt[system:])

    def _example(self, row: Row) -> tuple[Prompt, str]:
        if row.id not in self._examples:
            try:
                self._examples[row.id] = self._question(row.fields), self._example_answer(row.fields)
            except RowFault as fault:
                raise RowFault(f"few_shot ({fault.key})", f"the example {row.id!r} at {row.place}: {fault}") from fault
        return self._examples[row.id]

    def _example_answer(self, fields: Mapping[str, Any]) -> str:
        if self._answer is not None:
            with _Key("answer"):
                return as_text(self._answer.render(fields))
        if self._references:
            return self._reference_texts(fields)[0]
        return self._target_text(fields, self._choice_texts(fields)) or ""


class _Key:
    """Turns the user's errors within the block into a `RowFault` of one key."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        self._key = key

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UsageError):
            raise RowFault(self._key, str(error)) from error


def _groups(row: Row, columns: Sequence[str]) -> dict[str, str]:
    groups = {}
    for column in columns:
        if column not in row.fields and column not in row.groups:
            raise RowFault("groups", f"the row has no column {column!r}")
        with _Key(f"groups ({column})"):
            groups[column] = row.groups[column] if column in row.groups else as_text(row.fields[column])
    return groups
