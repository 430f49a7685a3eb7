"""Text that cannot act on what shows it: control characters and direction overrides are made visible."""

from __future__ import annotations

import re

__all__ = ["parted", "safe", "single_line"]

# What a terminal or a browser may act upon instead of showing: control characters (tab and newline aside), the
# direction overrides with which text can pass for other text, line separators, and lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"
)


# GitHub and GitLab look for these in the text that markup has become, where a backslash is gone: only something that
# parts the sign from the name keeps `@team` from calling a team and `#12` from leaving its mark on issue 12.
_PARTED = "\u200b"
_CALLS = re.compile(r"[@#!~%$&^](?=[\w\"])|(?i:gh)-(?=\d)|(?i:www)(?=\.)|:(?=//)|(?<!\d):(?=[\w+-]+:)")


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)  # ␀ ␁ … the pictures of the control characters
    if code == 0x7F:
        return "␡"
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"⟦U+{code:04X}⟧"


def safe(text: str) -> str:
    """`text` with every control character, direction override and lone surrogate made visible instead of active."""
    return _UNSAFE.sub(_shown, text.replace("\r\n", "\n"))


def single_line(text: str) -> str:
    """`safe(text)` with newlines and tabs shown as ⏎ and → so that it stays on one line."""
    return safe(text).replace("\n", "⏎").replace("\t", "→")


def parted(text: str) -> str:
    """`text` in which no forge finds a mention, reference, address or emoji: a space without width parts them."""
    return _CALLS.sub(rf"\g<0>{_PARTED}", text)
