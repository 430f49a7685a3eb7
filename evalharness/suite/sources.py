"""The templates of a task, each with its key: texts in the suite, and files beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from evalharness.core.errors import UsageError
from evalharness.core.templating import Template
from evalharness.core.types import Json

from .schema import ClassifyTask, DataTask, PerplexityTask, PromptFile
from .template import compiled

__all__ = ["history_source", "read_source", "schema_text", "sources_of", "template_of"]

_MAX_BYTES = 4_000_000

Key = tuple[str | int, ...]


def sources_of(task: DataTask) -> Iterator[tuple[Key, str | PromptFile]]:
    """(key within the task, template) of every template of `task`."""
    if isinstance(task, PerplexityTask):
        yield ("perplexity",), task.perplexity
        return
    if isinstance(task, ClassifyTask):
        yield ("classify",), task.classify
    else:
        if task.prompt is not None:
            yield ("prompt",), task.prompt
        for index, message in enumerate(task.messages or ()):
            if message.content is not None:
                yield ("messages", index, "content"), message.content
            if message.history is not None:
                yield ("messages", index, "history"), history_source(message.history)
        yield from _several("choices", task.choices)
        yield from _several("reference", task.reference)
        if task.few_shot is not None and task.few_shot.answer is not None:
            yield ("few_shot", "answer"), task.few_shot.answer
    if task.target is not None:
        yield ("target",), task.target


def _several(key: str, value: str | tuple[str, ...] | None) -> Iterator[tuple[Key, str]]:
    if isinstance(value, str):
        yield (key,), value
    else:
        yield from (((key, index), item) for index, item in enumerate(value or ()))


def history_source(expression: str) -> str:
    """A history is an expression; bare or in braces, it means the same."""
    return expression if "{{" in expression else "{{ " + expression + " }}"


def read_source(source: str | PromptFile, base: Path) -> tuple[str, str]:
    """(text of the template, its name for messages, "" for one that stands in the suite).

    Raises:
        UsageError: a file is not there, or is no text.
    """
    if isinstance(source, str):
        return source, ""
    path = base / source.file
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"the file {source.file!r} is larger than {_MAX_BYTES:,} bytes: not a prompt")
        return path.read_text("utf-8-sig"), source.file
    except FileNotFoundError:
        raise UsageError(f"there is no file {source.file!r} in {_folder(base)}{_near(path)}") from None
    except IsADirectoryError:
        raise UsageError(f"{source.file!r} is a folder, not a file") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"the file {source.file!r} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"the file {source.file!r} cannot be read: {reason}") from None


def schema_text(schema: Json, base: Path) -> str:
    """A JSON Schema as JSON text, in the order in which it is written; a text is the path of its file.

    Raises:
        UsageError: the file cannot be read, or holds no JSON object.
    """
    if not isinstance(schema, str):
        return json.dumps(schema, ensure_ascii=False)
    text, name = read_source(PromptFile(file=schema), base)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the file {name!r} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f"the file {name!r} must hold a JSON Schema, which is an object, not {type(found).__name__}")
    return json.dumps(found, ensure_ascii=False)


def _folder(base: Path) -> str:
    return "the suite's folder" if str(base) in ("", ".") else f"{str(base)!r}, the suite's folder"


def _near(path: Path) -> str:
    from evalharness.core.registry import suggestion

    try:
        return suggestion(path.name, [entry.name for entry in path.parent.iterdir()])
    except OSError:
        return ""


def template_of(source: str | PromptFile, base: Path) -> Template:
    """The compiled template.

    Raises:
        UsageError: it cannot be read, or is not a template.
    """
    text, where = read_source(source, base)
    return compiled(text, f"the file {where!r}" if where else "")
