"""Marks answers that decline, whichever backend gave them: when answers are read, and never in the response store.

The store keeps what the server sent. So the mark is made anew by each run and by each `score RECORD`, with the rules of
that day, and it says who made it: `meta.refusal = {by, matched, was}`. A refusal that the server itself reports stays
as it is. The mark is a state and nothing else: what is scored, and how, is the same with it and without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from evalharness.core.refusals import DETECTOR, refusal_in, tells_of_refusal
from evalharness.core.types import Prompt, Response, Sample, Status

__all__ = ["marked", "unmarked"]

_FIELD = "refusal"
_OURS = "evalharness-"
_MARKED: dict[Status, Status] = {"ok": "refusal", "truncated": "refusal"}


def marked(sample: Sample, response: Response) -> Response:
    """`response` as a refusal, if its text declines to answer.

    An answer that should read like one, since the prompt has such words and so has a reference (a translation of them,
    for one), does what it was asked.
    """
    if not response.text or response.status not in _MARKED:
        return response
    words = refusal_in(response.text)
    if words is None or _is_asked_for(sample):
        return response
    mark = {"by": DETECTOR, "matched": words, "was": response.status}
    return replace(response, status=_MARKED[response.status], meta={**response.meta, _FIELD: mark})


def unmarked(response: Response) -> Response:
    """`response` as it was before `marked`, of whatever version."""
    mark = response.meta.get(_FIELD)
    if not isinstance(mark, Mapping) or not str(mark.get("by")).startswith(_OURS):
        return response
    was = mark.get("was")
    states = [state for state in _MARKED if state == was]
    meta = {field: value for field, value in response.meta.items() if field != _FIELD}
    return replace(response, status=states[0] if states else "ok", meta=meta)


def _is_asked_for(sample: Sample) -> bool:
    expected = any(refusal_in(text) is not None for text in sample.references)
    return expected and tells_of_refusal(_text_of(sample.prompt))


def _text_of(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else "\n".join(turn.content for turn in prompt)
