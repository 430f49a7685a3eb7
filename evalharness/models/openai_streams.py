"""Streams of OpenAI's interface, put together to the replies that it gives whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .streams import StreamedObject
from .transport import StreamReader

__all__ = ["reader_of", "stream_fields"]

# What comes in pieces that are joined; of other texts (role, id, the name of a tool) the first one holds.
_JOINED = frozenset({"content", "text", "reasoning_content", "reasoning", "refusal", "arguments"})
_MADE = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call")


def stream_fields(api: str) -> dict[str, Any]:
    """What a request for a stream says more than one without; tokens are counted only if they are asked for."""
    fields: dict[str, Any] = {"stream": True}
    return fields if api == "responses" else {**fields, "stream_options": {"include_usage": True}}


def reader_of(api: str, *, clock: Callable[[], float]) -> Callable[[], StreamReader]:
    """Makes a reader for each try of a request to the endpoint `api`."""
    kinds = {"chat": ChatStream, "completions": CompletionStream, "responses": ResponseStream}
    return partial(kinds[api], clock)


class _ChoiceStream(StreamedObject):
    """What chat and completions share: chunks with `choices`, of which the first choice is kept."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self._whole: dict[str, Any] = {}
        self._choice: dict[str, Any] | None = None

    def add(self, event: Mapping[str, Any]) -> bool:
        for field, value in event.items():
            # Some servers count with every chunk: the last count holds.
            if field != "choices" and value is not None and (field == "usage" or field not in self._whole):
                self._whole[field] = value
        choices = event.get("choices")
        made = False
        for choice in choices if isinstance(choices, list) else ():
            # A choice without an index is the only one.
            if isinstance(choice, Mapping) and not choice.get("index"):
                made = self._add_choice(choice) or made
        return made

    def _add_choice(self, choice: Mapping[str, Any]) -> bool:
        if self._choice is None:
            self._choice = {"index": 0}
        if choice.get("finish_reason"):
            self.finished = True
        rest = {field: value for field, value in choice.items() if field not in ("index", "delta", "message")}
        _merge(self._choice, rest)
        return bool(rest.get("text"))

    def reply(self) -> Any:
        return {**self._whole, **({} if self._choice is None else {"choices": [self._choice]})}


class CompletionStream(_ChoiceStream):
    """`completions`: texts and log-probabilities in pieces."""


class ChatStream(_ChoiceStream):
    """`chat/completions`: a message in deltas."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self._message: dict[str, Any] = {}

    def _add_choice(self, choice: Mapping[str, Any]) -> bool:
        super()._add_choice(choice)
        delta = choice.get("delta") or choice.get("message")
        if not isinstance(delta, Mapping):
            return False
        _merge(self._message, delta)
        return any(delta.get(field) for field in _MADE)

    def reply(self) -> Any:
        if self._choice is not None:
            message = {"content": None, **self._message}
            if isinstance(calls := message.get("tool_calls"), list):
                # The index only says which call a piece belongs to; whole replies have none.
                message["tool_calls"] = [{k: v for k, v in call.items() if k != "index"} for call in calls]
            self._choice["message"] = message
        return super().reply()


class ResponseStream(StreamedObject):
    """`responses`: pieces are for watching only, for the last event repeats the whole reply."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self._whole: Any = None

    def add(self, event: Mapping[str, Any]) -> bool:
        kind, whole = str(event.get("type", "")), event.get("response")
        if kind in ("response.completed", "response.incomplete") and isinstance(whole, Mapping):
            self._whole = whole
            self.complete()
        elif kind == "response.failed" and isinstance(whole, Mapping):
            self.fail(whole.get("error") or "the server says no more")
        return kind.endswith(".delta") and bool(event.get("delta"))

    def reply(self) -> Any:
        return self._whole


def _merge(into: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Add what `delta` says to `into`."""
    for field, value in delta.items():
        if value is None:
            continue
        old = into.get(field)
        if field == "tool_calls" and isinstance(value, list):
            into[field] = old if isinstance(old, list) else []
            for call in value:
                _merge_call(into[field], call)
        elif isinstance(value, Mapping):
            if not isinstance(old, dict):
                old = into[field] = {}
            _merge(old, value)
        elif isinstance(value, list):
            into[field] = [*(_parts(old) if old else ()), *value]
        elif isinstance(old, list):
            into[field] = [*old, *_parts(value)]
        elif isinstance(old, str) and isinstance(value, str) and field in _JOINED:
            into[field] = old + value
        elif not old:
            into[field] = value


def _merge_call(calls: list[Any], piece: object) -> None:
    if not isinstance(piece, Mapping):
        return
    last = calls[-1] if calls else None
    if "index" in piece:
        call = next((call for call in calls if call.get("index") == piece["index"]), None)
    else:
        # Servers that leave the index out begin each call with its id.
        call = None if last is None or piece.get("id") not in (None, "", last.get("id")) else last
    if call is None:
        calls.append({})
        call = calls[-1]
    _merge(call, piece)


def _parts(content: Any) -> list[Any]:
    """Content as a list of parts, whatever it is: some servers send texts and parts in turn."""
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if isinstance(content, str) else [content]
