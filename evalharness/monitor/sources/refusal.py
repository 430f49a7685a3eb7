"""Why a row is no response: the rule, the value found, and what to do about it."""

from __future__ import annotations

__all__ = ["Refusal", "shown"]

_LONGEST = 80


class Refusal(Exception):
    """A row that cannot be read as a response. `value` never holds text of an input or an output."""

    def __init__(self, rule: str, field: str, value: str, remedy: str) -> None:
        super().__init__(f"{rule}: {field}: {value}; {remedy}")
        self.rule, self.field, self.value, self.remedy = rule, field, value, remedy


def shown(value: object) -> str:
    """A value of a figure, a name or a time for a message, cut short; of objects and lists only what they are."""
    if isinstance(value, dict):
        return f"an object of {len(value)} keys"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)} items"
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
