"""The last step before anything sees a response: texts that are not to be kept are gone, and patterns are replaced."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from evalharness.core.production import ProductionResponse

from .redact import Redaction

__all__ = ["private"]

_TEXTS: Final = ("input", "output", "reasoning", "error", "label", "prediction")
_NAMES: Final = ("id", "conversation")
_TYPE: Final = re.compile(r"[\w.:/-]{1,100}\Z")


def private(response: ProductionResponse, *, content: bool, redaction: Redaction) -> ProductionResponse:
    """`response` as it may be kept.

    Without `content` there are no inputs, outputs, messages and thoughts, and of an error only its type: a message may
    repeat what was asked. Names in which something is found are replaced by digests, so that they stay apart.
    """
    changed: dict[str, Any] = {}
    if not content:
        if (response.input, response.output, response.reasoning, response.messages) != (None, None, None, ()):
            changed |= {"input": None, "output": None, "reasoning": None, "messages": ()}
        if response.error is not None and not _TYPE.match(response.error):
            changed["error"] = "error"
    if redaction:
        for name in _TEXTS:
            text = changed.get(name, getattr(response, name))
            if text is not None:
                changed[name] = redaction(text)
        for name in _NAMES:
            text = getattr(response, name)
            if text is not None:
                changed[name] = redaction.name(text)
        if "messages" not in changed:
            changed["messages"] = tuple((role, redaction(text)) for role, text in response.messages)
        changed["attributes"] = {
            name: redaction(value) if isinstance(value, str) else value for name, value in response.attributes.items()
        }
    return replace(response, **changed) if changed else response
