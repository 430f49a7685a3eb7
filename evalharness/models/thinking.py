"""Parts the reasoning that a server leaves in the text from the answer: `<think>…</think>`.

Servers with a reasoning parser give the two apart; others hand on what the model wrote. Reasoning is never the answer:
it would be scored, and an `extract` could find its match in it. Two shapes are known: a text that begins with
`<think>` (DeepSeek-R1, Qwen3 and others), and one whose `<think>` stood at the end of the prompt's template, so that
only `</think>` is left. A text that begins with `<think>` and never closes it is all reasoning: there is no answer yet.
"""

from __future__ import annotations

from dataclasses import replace

from evalharness.core.types import Response

__all__ = ["parted", "without_thinking"]

_OPEN, _CLOSE = "<think>", "</think>"


def parted(text: str) -> tuple[str | None, str]:
    """The reasoning, None where there is none, and the answer."""
    head, close, rest = text.partition(_CLOSE)
    begins = head.lstrip().startswith(_OPEN)
    if begins:
        head = head.lstrip().removeprefix(_OPEN)
    elif not close or _OPEN in head:
        return None, text  # no reasoning, or talk about the tag inside an answer
    return head.strip(), rest.lstrip() if close else ""


def without_thinking(response: Response) -> Response:
    """`response` with the reasoning of its text in `meta.reasoning_content`, behind what the server gave apart."""
    if not response.text:
        return response
    reasoning, answer = parted(response.text)
    if reasoning is None:
        return response
    given = response.meta.get("reasoning_content")
    whole = f"{given}\n{reasoning}" if isinstance(given, str) else reasoning
    return replace(response, text=answer, meta={**response.meta, "reasoning_content": whole})
