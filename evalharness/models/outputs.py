"""From plain values to what a model reads and what it answered: for backends whose other side is not ours.

A user's function, a file of outputs and a template all speak in plain JSON-like values; each value that is no answer
raises `RequestFailed` with what came instead.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

from evalharness.core.canonical import to_jsonable
from evalharness.core.types import Json, LogLikelihood, Prompt, Request, Response, Status

from .concurrent import RequestFailed

__all__ = [
    "label_or_json_response",
    "label_response",
    "likelihood_response",
    "prompt_text",
    "prompt_turns",
    "request_values",
    "shown",
    "status_of",
    "text_response",
]

_TEXT_FIELDS = ("text", "finish_reason", "input_tokens", "output_tokens")


def prompt_text(prompt: Prompt) -> str:
    """`prompt` as one text: a single turn as it stands, several as `role: content`, a blank line between them."""
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1:
        return prompt[0].content
    return "\n\n".join(f"{turn.role}: {turn.content}" for turn in prompt)


def prompt_turns(prompt: Prompt) -> list[dict[str, str]]:
    """`prompt` as a list of `{role, content}`; text is one turn of the user's."""
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    return [{"role": turn.role, "content": turn.content} for turn in prompt]


def request_values(request: Request) -> dict[str, Any]:
    """What templates of a request see: prompt, messages, sampling (None where not set), sample_id and repeat."""
    sampling = request.sampling
    return {
        "prompt": prompt_text(request.prompt),
        "messages": prompt_turns(request.prompt),
        "sampling": {
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "stop": list(sampling.stop),
            "seed": sampling.seed,
        },
        "sample_id": request.sample_id,
        "repeat": request.repeat,
    }


def shown(value: object, *, most: int = 120) -> str:
    """`value` for a message: its type and the beginning of its repr."""
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= most else text[:most] + '…'}"


def status_of(finish_reason: str | None) -> Status:
    """The state of an answer that ended for `finish_reason` (OpenAI's words)."""
    if finish_reason in ("length", "max_tokens"):
        return "truncated"
    return "refusal" if finish_reason in ("content_filter", "refusal") else "ok"


def _count(field: str, value: object) -> int | None:
    if value is None or (isinstance(value, Integral) and not isinstance(value, bool)):
        return None if value is None else int(value)
    raise RequestFailed(f"{field} must be a whole number or None, not {shown(value)}")


def text_response(key: str, value: object) -> Response:
    """A text, or a mapping with `text` and perhaps finish_reason, input_tokens, output_tokens; the rest is meta."""
    if isinstance(value, str):
        return Response(key=key, text=value)
    if not isinstance(value, Mapping) or not isinstance(value.get("text"), str):
        raise RequestFailed(f"expected a str, or a mapping with a str under 'text'; got {shown(value)}")
    reason = value.get("finish_reason")
    if reason is not None and not isinstance(reason, str):
        raise RequestFailed(f"finish_reason must be a str or None, not {shown(reason)}")
    return Response(
        key=key,
        status=status_of(reason),
        text=value["text"],
        finish_reason=reason,
        input_tokens=_count("input_tokens", value.get("input_tokens")),
        output_tokens=_count("output_tokens", value.get("output_tokens")),
        meta={str(k): _json(v) for k, v in value.items() if k not in _TEXT_FIELDS},
    )


def _json(value: object) -> Json:
    try:
        plain: Json = to_jsonable(value)
    except TypeError:
        plain = repr(value)
    return plain


def _probability(label: object, value: object) -> float:
    if isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) <= 1 + 1e-6:
        return float(value)
    raise RequestFailed(f"the probability of label {label!r} must lie between 0 and 1; got {shown(value)}")


def label_response(key: str, value: object) -> Response:
    """A label, or `{label: probability}`, whose likeliest label (the first of equals) is the answer."""
    if isinstance(value, str) and value.strip():
        return Response(key=key, text=value.strip(), answer=value.strip())
    if not isinstance(value, Mapping) or not value:
        raise RequestFailed(f"expected a label, or a mapping of label to probability; got {shown(value)}")
    probabilities = {str(label): _probability(label, p) for label, p in value.items()}
    best = max(probabilities, key=lambda label: probabilities[label])
    return Response(key=key, text=best, answer=best, label_probabilities=probabilities)


def label_or_json_response(key: str, text: str) -> Response:
    """Like `label_response` for text, which may also be JSON of `{label: probability}` (CSV cells, templates)."""
    if text.lstrip().startswith("{"):
        try:
            return label_response(key, json.loads(text))
        except json.JSONDecodeError as error:
            raise RequestFailed(f"expected a label or JSON of label to probability; {error}: {shown(text)}") from error
    return label_response(key, text)


def _likelihood(value: object) -> LogLikelihood:
    match value:
        case {"total": total, **rest}:
            n_tokens = _count("n_tokens", rest.get("n_tokens"))
            found = LogLikelihood(_logarithm(total), n_tokens or 0, bool(rest.get("is_greedy", False)))
        case _:
            found = LogLikelihood(_logarithm(value), 0)
    return found


def _logarithm(value: object) -> float:
    if isinstance(value, Real) and not isinstance(value, bool):
        number = float(value)
        if not math.isnan(number) and number < math.inf:
            return number
    raise RequestFailed(f"a log-likelihood must be a number, not NaN and not infinite; got {shown(value)}")


def likelihood_response(key: str, values: object, *, n: int) -> Response:
    """One log-likelihood for each of `n` continuations: numbers, or mappings with total, n_tokens and is_greedy.

    The number of tokens of a bare number is not known: `n_tokens` is 0.
    """
    values = values.tolist() if hasattr(values, "tolist") else values
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise RequestFailed(f"expected a list of {n} log-likelihoods; got {shown(values)}")
    found = tuple(_likelihood(value) for value in values)
    if len(found) != n:
        raise RequestFailed(f"expected {n} log-likelihoods, one for each continuation; got {len(found)}")
    return Response(key=key, loglikelihoods=found)
