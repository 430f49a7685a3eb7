"""Replaces personal data and secrets in texts before anything else sees them.

Names stand for patterns that are known here; they take too much rather than too little: addresses that belong to nobody
(example.com, 10.0.0.1) are replaced, too. Patterns of the user run with a time limit, and a text on which one takes
longer is withheld whole: what could not be searched is not let through.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any, Final

from evalharness.metrics.pii_patterns import find_pii
from evalharness.suite.source_entry import RedactPattern

__all__ = ["WITHHELD", "Redaction"]

WITHHELD: Final = "[withheld: redaction took too long]"

_EMAIL = re.compile(r"(?<![\w.%+-])[\w%+][\w.%+'-]{0,63}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])")
_ADDRESS = re.compile(
    r"(?<![A-Za-z0-9.])(?:\d{1,3}\.){3}\d{1,3}(?![A-Za-z0-9]|\.\d)"
    r"|(?<![A-Za-z0-9:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![A-Za-z0-9:])",
    re.ASCII,
)
_SECRETS: Final[dict[str, re.Pattern[str]]] = {
    "private_key": re.compile(
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:.*?-----END [A-Z ]{0,30}PRIVATE KEY-----|.*)", re.S
    ),
    "jwt": re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*", re.ASCII),
    "url_password": re.compile(r"(?<![A-Za-z0-9])([A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@]{0,200}:)[^\s/@]{1,200}(?=@)"),
    "api_key": re.compile(
        r"(?<![A-Za-z0-9_-])(?:"
        r"sk-[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic and those who took over their form
        r"|(?:AKIA|ASIA)[A-Z0-9]{16}"  # Amazon
        r"|AIza[A-Za-z0-9_-]{35}"  # Google
        r"|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{20,}"  # GitHub, GitLab
        r"|xox[abposr]-[A-Za-z0-9-]{10,}"  # Slack
        r"|hf_[A-Za-z0-9]{30,}|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}"  # Hugging Face, Stripe
        r")(?![A-Za-z0-9])"
        r"|(?i:(?<![a-z0-9])(?:bearer|basic)\s+)[A-Za-z0-9._~+/-]{16,}=*"
        r"|(?i:(?<![a-z0-9])(?:api[_-]?key|secret|token|password)[\"']?\s{0,3}[:=]\s{0,3}[\"']?)[^\s\"',;]{8,}",
        re.ASCII,
    ),
}


class Redaction:
    """What the entries of `redact` do to a text. `timeouts` counts the texts that were withheld.

    Args:
        entries: names of what is known here, regular expressions, and patterns with names of their own.
        timeout_s: for each pattern of the user and each text.
    """

    def __init__(self, entries: Iterable[str | RedactPattern], *, timeout_s: float = 1.0) -> None:
        self._timeout_s = timeout_s
        self.timeouts = 0
        names: set[str] = set()
        self._own: list[tuple[Any, str]] = []
        for entry in entries:
            if isinstance(entry, RedactPattern):
                self._add(entry.pattern, entry.name)
            elif entry in _SECRETS or re.fullmatch(r"[A-Za-z0-9_-]+", entry):
                names.add(entry)
            else:
                self._add(entry, "redacted")
        self._steps: list[Callable[[str], str]] = [self._replacing(name) for name in _SECRETS if name in names]
        if "email" in names:
            self._steps.append(lambda text: _EMAIL.sub("[email]", text) if "@" in text else text)
        self._pii = frozenset(names) - set(_SECRETS) - {"email", "ip"}
        if self._pii:
            self._steps.append(self._personal)
        if "ip" in names:
            self._steps.append(lambda text: _ADDRESS.sub(_address, text))

    def __bool__(self) -> bool:
        return bool(self._steps or self._own)

    def __call__(self, text: str) -> str:
        """`text` without what was to be replaced."""
        for step in self._steps:
            text = step(text)
        for pattern, replacement in self._own:
            try:
                text = pattern.sub(replacement, text, timeout=self._timeout_s)
            except TimeoutError:
                self.timeouts += 1
                return WITHHELD
        return text

    def name(self, text: str) -> str:
        """A name that keeps names apart: one in which something was found becomes a digest."""
        return (
            text
            if self(text) == text
            else f"redacted-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}"
        )

    def _add(self, pattern: str, name: str) -> None:
        import regex

        replacement = f"[{name}]".replace("\\", r"\\")
        self._own.append((regex.compile(pattern), replacement))

    @staticmethod
    def _replacing(name: str) -> Callable[[str], str]:
        pattern = _SECRETS[name]
        # The address stays, without its password.
        replacement = rf"\1[{name}]" if name == "url_password" else f"[{name}]"
        return lambda text: pattern.sub(replacement, text)

    def _personal(self, text: str) -> str:
        pieces: list[str] = []
        at = 0
        for found in find_pii(text):
            if found.type in self._pii:
                pieces += (text[at : found.start], f"[{found.type}]")
                at = found.end
        return "".join((*pieces, text[at:]))


def _address(match: re.Match[str]) -> str:
    try:
        ip_address(match[0])
    except ValueError:
        return match[0]
    return "[ip]" if len(match[0]) > 2 else match[0]
