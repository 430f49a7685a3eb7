"""The body of a request for text, for each of OpenAI's endpoints.

The Responses API has neither `stop` nor `seed`, and refuses fields that it does not know: the seed is not sent there,
and the answer is cut here at the first stop string. Nothing is stored at the server (`store: false`).
"""

from __future__ import annotations

import json
from typing import Any, Literal

from evalharness.core.types import Prompt, Sampling

from .concurrent import RequestFailed
from .outputs import prompt_turns

__all__ = ["PATHS", "Api", "cut_at_stop", "generation_fields", "text_of"]

Api = Literal["chat", "completions", "responses"]
PATHS: dict[str, str] = {"chat": "/chat/completions", "completions": "/completions", "responses": "/responses"}


def generation_fields(prompt: Prompt, sampling: Sampling, *, api: Api) -> dict[str, Any]:
    """The fields that ask for text after `prompt`; those that are None are not to be sent.

    Raises:
        RequestFailed: the endpoint cannot take such a prompt.
    """
    if api == "responses":
        return {**_input(prompt), **_response_settings(sampling)}
    settings = {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "stop": list(sampling.stop) or None,
        "seed": sampling.seed,
    }
    if api == "completions":
        return {"prompt": text_of(prompt), **settings}
    schema = _schema(sampling)
    form = {"type": "json_schema", "json_schema": schema} if schema else None
    return {"messages": prompt_turns(prompt), **settings, "response_format": form}


def text_of(prompt: Prompt) -> str:
    """The prompt of a completion.

    Raises:
        RequestFailed: it is chat turns.
    """
    if isinstance(prompt, str):
        return prompt
    raise RequestFailed(
        "the completions endpoint takes text, and the prompt is chat turns; set `api: chat` for the model, or "
        "use `prompt` instead of `messages` in the task"
    )


def _input(prompt: Prompt) -> dict[str, Any]:
    """A system turn at the beginning is `instructions`, which the API puts there as such a turn; the rest is input.

    Further system turns keep their role and place, which `instructions` could not keep.
    """
    turns = prompt_turns(prompt)
    if any(turn["role"] == "tool" for turn in turns):
        raise RequestFailed(
            "the responses endpoint takes no turns of the role tool; set `api: chat` for the model, or leave them out"
        )
    if len(turns) > 1 and turns[0]["role"] == "system" and turns[1]["role"] != "system":
        return {"instructions": turns[0]["content"], "input": turns[1:]}
    return {"input": turns}


def _response_settings(sampling: Sampling) -> dict[str, Any]:
    schema = _schema(sampling)
    return {
        "text": {"format": {"type": "json_schema", **schema}} if schema else None,
        "max_output_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "store": False,
    }


def _schema(sampling: Sampling) -> dict[str, Any] | None:
    """The JSON Schema of the answer in OpenAI's wrapping; `strict` holds the model to it instead of asking it."""
    if sampling.json_schema is None:
        return None
    return {"name": "answer", "schema": json.loads(sampling.json_schema), "strict": True}


def cut_at_stop(text: str, stop: tuple[str, ...]) -> str:
    """`text` up to the first of the stop strings in it."""
    return text[: min((at for string in stop if (at := text.find(string)) >= 0), default=len(text))]
