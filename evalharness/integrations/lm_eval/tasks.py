"""lm-eval's tasks, loaded by lm-eval itself and set up as `simple_evaluate` does, with their documents and requests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from evalharness.core.canonical import digest
from evalharness.core.errors import EvalHarnessError, UsageError
from evalharness.core.types import Json, Kind, Message, Prompt, Sample

from .generation import generation_of
from .index import Found, IncludePath, entries, find, reached, task_manager
from .quiet import compiled_templates, quiet, seeded

if TYPE_CHECKING:
    from lm_eval.api.group import Group
    from lm_eval.api.instance import Instance
    from lm_eval.api.task import Task

__all__ = ["Ask", "Chat", "Document", "LoadedGroup", "LoadedTask", "LoadedTasks", "Options", "load"]

_UNREACHABLE = frozenset({"ConnectionError", "ConnectTimeout", "LocalEntryNotFoundError", "OfflineModeIsEnabled"})
_REMEDY = "; its data are not in the local cache, and the hub cannot be reached: load the task once where it can be"

Chat = Callable[[Sequence[Message], bool], str]
"""The text that a model's chat template makes of turns; the flag says whether an answer is begun behind them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How tasks are set up; what is None is as the task says."""

    include_path: IncludePath = None
    num_fewshot: int | None = None
    limit: int | None = None
    seed: int | None = 1234
    apply_chat_template: bool = False
    fewshot_as_multiturn: bool = True
    system_instruction: str | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of a model about a document: one request, asked `repeats` times.

    `instances` are the positions, among those of the document, of lm-eval's requests that its answer serves: one for
    each continuation. `generation` holds settings under the names of a suite's `generate`.
    """

    kind: Kind
    prompt: Prompt
    continuations: tuple[str, ...] = ()
    generation: Mapping[str, Json] = field(default_factory=dict)
    repeats: int = 1
    instances: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Document:
    """A document: our sample, what is asked about it, and lm-eval's own requests in the order of their `idx`."""

    sample: Sample
    asks: tuple[Ask, ...]
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True)
class LoadedTask:
    """One task. `identity` holds digests of what two runs must agree on: data, prompt, generation and kind."""

    name: str
    task: Task
    documents: tuple[Document, ...]
    identity: Mapping[str, str]

    @property
    def version(self) -> str:
        """The version that the task gives itself."""
        return str(self.task.VERSION)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What its requests ask of a model."""
        return tuple(dict.fromkeys(ask.kind for document in self.documents for ask in document.asks))


@dataclass(frozen=True, slots=True)
class LoadedGroup:
    """A group that makes figures of its own; `members` are the names of all tasks below it."""

    name: str
    group: Group
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoadedTasks:
    """What the name `root` stands for; `single` where it is one task itself, not a group or tag of several."""

    root: str
    tasks: tuple[LoadedTask, ...]
    groups: tuple[LoadedGroup, ...]
    single: bool


def load(name: str, options: Options, *, chat: Chat | None = None, allow_code: bool = False) -> LoadedTasks:
    """The tasks behind `name`, their datasets read and their requests made, as `lm_eval.simple_evaluate` makes them.

    Args:
        name: A task, group or tag, or the path of a YAML file.
        options: How they are set up.
        chat: Renders chat turns, for models that read text; without it turns stay turns.
        allow_code: Whether code under an include path, and tasks that run what a model wrote, are allowed.

    Raises:
        MissingExtraError: lm-eval is not installed.
        UsageError: the task is not there, needs code that is not allowed, or cannot be loaded.
    """
    found = find(name, options.include_path)
    if not allow_code:
        _check_code(found, options.include_path)
    manager = task_manager([name], options.include_path, metadata=options.metadata)
    with quiet(), seeded(), compiled_templates():
        loaded = _explained(name, lambda: manager.load([name]))
        tasks: Mapping[str, Task] = loaded["tasks"]
        groups: Mapping[str, Group] = loaded.get("groups") or {}
        made = []
        for own_name, task in tasks.items():
            if getattr(task, "UNSAFE_CODE", False) and not allow_code:
                raise UsageError(_unsafe(own_name))
            if getattr(task, "MULTIMODAL", False):
                raise UsageError(f"the lm-eval task {own_name!r} needs images or sound, which no backend here reads")
            made.append(_explained(own_name, lambda n=own_name, t=task: _task(n, t, options, chat)))  # type: ignore[misc]
    single = not groups and len(made) == 1 and found.kind != "tag"
    return LoadedTasks(
        root=found.name,
        tasks=tuple(made if single else map(_with_own_ids, made)),
        groups=tuple(_aggregated(groups)),
        single=single,
    )


def _with_own_ids(loaded: LoadedTask) -> LoadedTask:
    """Documents are counted from 0 in every task; within a group their ids carry the task's name."""
    documents = tuple(
        replace(document, sample=replace(document.sample, id=f"{loaded.name}/{document.sample.id}"))
        for document in loaded.documents
    )
    return replace(loaded, documents=documents)


def _check_code(found: Found, include_path: IncludePath) -> None:
    for item in reached(found, entries(include_path)):
        if item.own and item.code and item.kind != "tag":
            raise UsageError(
                f"the lm-eval {item.kind} {item.name!r} ({item.file}) runs Python functions from its folder; "
                "read them, and allow it with --allow-code"
            )
        if item.unsafe:
            raise UsageError(_unsafe(item.name))


def _unsafe(name: str) -> str:
    return f"the lm-eval task {name!r} runs code that the model wrote; do so in a sandbox, and allow it: --allow-code"


def _explained(name: str, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except EvalHarnessError:
        raise
    except Exception as error:
        # Datasets, the hub, templates and the task's own functions raise what they like.
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
        remedy = _REMEDY if type(error).__name__ in _UNREACHABLE else ""
        raise UsageError(
            f"the lm-eval task {name!r} cannot be loaded: {type(error).__name__}: {reason}{remedy}"
        ) from error


def _aggregated(groups: Mapping[str, Group]) -> Iterator[LoadedGroup]:
    for name, group in groups.items():
        if group.has_aggregation:
            yield LoadedGroup(name, group, tuple(dict.fromkeys(task.task_name for task in group.get_all_tasks())))


def _task(name: str, task: Task, options: Options, chat: Chat | None) -> LoadedTask:
    # A task that sets 0 itself (its examples stand in its prompt) keeps it, as in lm-eval.
    if options.num_fewshot is not None and task.get_config("num_fewshot") != 0:
        task.set_config(key="num_fewshot", value=options.num_fewshot)
    elif task.get_config("num_fewshot") is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=options.seed)
    task.build_all_requests(
        limit=options.limit,
        system_instruction=options.system_instruction,
        apply_chat_template=options.apply_chat_template,
        fewshot_as_multiturn=options.apply_chat_template and options.fewshot_as_multiturn,
        chat_template=_Template(chat) if options.apply_chat_template else None,
    )
    by_document: dict[int, list[Instance]] = {}
    for instance in task.instances:
        by_document.setdefault(instance.doc_id, []).append(instance)
    documents = tuple(
        _document(task, sorted(instances, key=lambda instance: instance.idx), options.groups)
        for instances in by_document.values()
    )
    return LoadedTask(name, task, documents, _identity(task, documents))


class _Turns(str):
    """A context made by a chat template, with the turns that it was made of."""

    __slots__ = ("rendered", "turns")
    turns: tuple[Message, ...]
    rendered: bool


class _Template:
    """What lm-eval calls as the model's chat template."""

    def __init__(self, chat: Chat | None) -> None:
        self._chat = chat

    def __call__(self, history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> str:
        turns = tuple(Message(turn["role"], turn["content"]) for turn in history)  # type: ignore[arg-type]
        text = json.dumps(list(history), ensure_ascii=False) if self._chat is None else None
        made = _Turns(text if text is not None else self._chat(turns, add_generation_prompt))  # type: ignore[misc]
        made.turns, made.rendered = turns, text is None
        return made


def _prompt(context: str) -> Prompt:
    return context.turns if isinstance(context, _Turns) and not context.rendered else str(context)


def _asks(instances: Sequence[Instance]) -> Iterator[Ask]:
    """One request for likelihoods after the same context, one for each of the others."""
    together: dict[str, list[int]] = {}
    for position, instance in enumerate(instances):
        kind = instance.request_type
        if kind == "loglikelihood":
            together.setdefault(instance.args[0], []).append(position)
        elif kind == "generate_until":
            context, settings = instance.args[:2]
            yield Ask(
                "generate",
                _prompt(context),
                generation=generation_of(settings),
                repeats=max(1, instance.repeats or 1),
                instances=(position,),
            )
        elif kind == "loglikelihood_rolling":
            yield Ask("loglikelihood_rolling", str(instance.args[0]), instances=(position,))
        else:
            raise UsageError(f"lm-eval's request type {kind!r} is not known here")
    for context, positions in together.items():
        yield Ask(
            "loglikelihood",
            _prompt(context),
            continuations=tuple(str(instances[position].args[1]) for position in positions),
            instances=tuple(positions),
        )


def _document(task: Task, instances: Sequence[Instance], groups: Sequence[str]) -> Document:
    first = instances[0]
    asks = tuple(_asks(instances))
    target = task.doc_to_target(first.doc)
    hashes = _hashes(first, target)
    fields = _plain(first.doc) if isinstance(first.doc, Mapping) else {}
    choices = _choices(task, first.doc, asks)
    references = () if choices or asks[0].kind != "generate" else _references(task, first.doc, target)
    content = [[ask.kind, _json(ask.prompt), ask.continuations] for ask in asks]
    for column in groups:
        if column not in fields:
            raise UsageError(f"groups: its documents have no column {column!r}; they have: {', '.join(fields)}")
    sample = Sample(
        id=str(first.doc_id),
        digest=digest([hashes["doc_hash"], hashes["target_hash"], content]),
        prompt=asks[0].prompt,
        references=references,
        choices=choices,
        target=None if references or asks[0].kind == "loglikelihood_rolling" else _label(target, choices),
        groups={column: str(fields[column]) for column in groups},
        fields={"doc_id": first.doc_id, **hashes, "doc": fields},
    )
    return Document(sample, asks, tuple(instances))


def _hashes(first: Instance, target: Any) -> dict[str, str]:
    """The three hashes that lm-eval logs with each sample."""
    from lm_eval.utils import handle_non_serializable, hash_string

    text = json.dumps(first.doc, indent=2, default=handle_non_serializable, ensure_ascii=False)
    # A context that stays in turns has no text yet; its JSON stands for it.
    return {
        "doc_hash": hash_string(text),
        "prompt_hash": hash_string(first.args[0]),
        "target_hash": hash_string(str(target)),
    }


def _plain(doc: Mapping[str, Any]) -> dict[str, Json]:
    from lm_eval.utils import handle_non_serializable

    # Numbers that JSON has not become words, and dates, arrays and images what lm-eval writes of them.
    found: dict[str, Json] = json.loads(json.dumps(doc, default=handle_non_serializable), parse_constant=str)
    return found


def _choices(task: Task, doc: Any, asks: Sequence[Ask]) -> tuple[str, ...]:
    """The answers to choose from, where they are what is scored: in the order of the response's log-likelihoods."""
    if task.OUTPUT_TYPE != "multiple_choice" or len(asks) != 1 or asks[0].kind != "loglikelihood":
        return ()
    choices = tuple(map(str, task.doc_to_choice(doc)))
    return choices if len(choices) == len(asks[0].continuations) else ()


def _label(target: Any, choices: Sequence[str]) -> str:
    return choices[target] if isinstance(target, int) and 0 <= target < len(choices) else str(target)


def _references(task: Task, doc: Any, target: Any) -> tuple[str, ...]:
    if getattr(task.config, "doc_to_choice", None) is not None and isinstance(target, int):
        target = task.doc_to_choice(doc)[target]
    return tuple(map(str, target)) if isinstance(target, list | tuple) else (str(target),)


def _json(prompt: Prompt) -> Json:
    return prompt if isinstance(prompt, str) else [[turn.role, turn.content] for turn in prompt]


def _identity(task: Task, documents: Sequence[Document]) -> dict[str, str]:
    prompts = hashlib.sha256()
    generations: dict[str, Json] = {}
    for document in documents:
        for instance in document.instances:
            context = instance.args[0]
            # Turns, not what a model's template makes of them: the model is not part of a task's identity.
            shown = [[t.role, t.content] for t in context.turns] if isinstance(context, _Turns) else context
            scored = instance.args[1] if instance.request_type == "loglikelihood" else ""
            prompts.update(f"{digest([shown, scored])}\n".encode())
        for ask in document.asks:
            if ask.generation:
                generations[digest(ask.generation)] = ask.generation
    kind = [task.OUTPUT_TYPE, str(task.VERSION), describe(task.get_config("filter_list"))]
    return {
        "data": digest([[d.sample.fields["doc_hash"], d.sample.fields["target_hash"]] for d in documents]),
        "prompt": prompts.hexdigest(),
        "generation": digest(generations),
        "kind": digest(kind),
    }


def describe(value: Any) -> Json:
    """A part of a task's settings as plain JSON; a function by its name and the digest of its source."""
    import inspect

    if callable(value):
        try:
            source = hashlib.sha256(inspect.getsource(value).encode("utf-8", "surrogatepass")).hexdigest()[:12]
        except (OSError, TypeError):
            source = ""
        name = getattr(value, "__qualname__", type(value).__qualname__)
        return f"{name}:{source}"
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
