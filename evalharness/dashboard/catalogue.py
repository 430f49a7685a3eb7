"""Which language a visitor is shown, and the messages that stand in no template; `core.language` has the words."""

from __future__ import annotations

from typing import Final, get_args

from ..compare.result import Finding
from ..core.language import LANGUAGES

__all__ = ["WORDS", "choose_language"]


def choose_language(cookie: str | None, accepted: str | None) -> str:
    """The language that was chosen, else the first that the browser asks for, else English."""
    if cookie is not None and cookie in LANGUAGES:
        return cookie
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate((accepted or "").split(",")[:20]):
        name, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        wanted.append((-weight, place, name.partition("-")[0].lower()))
    return next((name for weight, _, name in sorted(wanted) if name in LANGUAGES and weight < 0), "en")


WORDS: Final = (
    *("pass", "fail", "inconclusive", "ok", "pending", "firing", "resolved", "no data", "error"),
    *("compared", "no reference", "skipped", "drift", "small", "no drift", "too few"),
    *("told firing", "told resolved", "told no data", "told error", "told repeat", "acknowledged", "late"),
    *("viewer", "editor", "admin", "log in", "log out", "wrong password", "acknowledge", "silence", "end silence"),
    *("add user", "change user", "remove user", "rate", "deploy", "forget deploy"),
    *("How good is this answer?", "Which label fits this answer?", "Which answer is better?"),
    *("A is better", "About the same", "B is better", "worst", "best", "Agreement of raters"),
    *(*get_args(Finding), "right to wrong", "wrong to right"),
    *(
        "reference",
        "current",
        "at most",
        "at least",
        "Groups",
        "Time, tokens and states",
        "This name and password do not belong together.",
    ),
)
"""Messages that stand in the code or the registry, and in no template: states, roles, actions."""
