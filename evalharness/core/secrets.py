"""`${env:NAME}` placeholders: a suite carries the placeholder, and only the backend that sends it sees the secret."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import quote, quote_plus

from .errors import UsageError

__all__ = ["PLACEHOLDER", "Redactor", "placeholders", "resolve", "sensitive_values", "spellings"]

PLACEHOLDER = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")

# Encodings of shorter values are short enough to stand in a text by chance; so are, longer still, words with blanks.
_SHORTEST_ENCODED: Final = 8
_SHORTEST_BROKEN: Final = 16
_SENSITIVE_NAME: Final = re.compile(r"key|token|secret|passw|credential|auth", re.IGNORECASE)
_MARKS: Final = re.compile(r"\\\\?[nrt]|\\\r?\n|=\r?\n|<[Ww]?[Bb][Rr]\s*/?>|[\u00ad\u200b\u2060\ufeff]")
_BREAK: Final = rf"(?:\s|{_MARKS.pattern})*"


def placeholders(text: str) -> tuple[str, ...]:
    """The names of the environment variables that `text` asks for, in order."""
    return tuple(PLACEHOLDER.findall(text))


def resolve(text: str, environ: Mapping[str, str]) -> str:
    """`text` with each `${env:NAME}` replaced by the variable's value.

    Raises:
        UsageError: naming the variable, if it is not set or empty.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        found = environ.get(name, "")
        if not found:
            raise UsageError(f"the environment variable {name} is not set; set it: export {name}=…")
        return found

    return PLACEHOLDER.sub(value, text)


def spellings(secret: str) -> set[str]:
    """How `secret` may come back: as it is, or as URLs, JSON, HTML, Python, base64 and hexadecimal digits write it."""
    found = {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
        repr(secret)[1:-1],
    }
    if len(secret) >= _SHORTEST_ENCODED:
        data = secret.encode("utf-8", "surrogatepass")
        found |= {data.hex(), data.hex().upper()}
        for encode in (b64encode, urlsafe_b64encode):
            found |= {_within_base64(encode, data, before) for before in range(3)}
    return found


def _within_base64(encode: Callable[[bytes], bytes], data: bytes, before: int) -> str:
    """The characters of base64 that stand for `data` alone where `before` (modulo 3) bytes come before it.

    Basic authentication encodes `user:password`: the password's own encoding stands nowhere in it. A character is six
    bits; those at either end that hold bits of a neighbour are left out.
    """
    whole = encode(bytes(before) + data).decode()
    return whole[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]


def sensitive_values(environ: Mapping[str, str]) -> list[str]:
    """The values of variables whose names say that they are secret."""
    return [
        value
        for name, value in environ.items()
        if _SENSITIVE_NAME.search(name) and len(value) >= _SHORTEST_ENCODED and not value.startswith("/")
    ]


class Redactor:
    """Replaces known secrets in text that leaves the program: errors, logs, the store and the record.

    Secrets of 16 characters and more are found, too, where line breaks (or what HTML, JSON and mail write for them)
    cut them into pieces.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        # Longest first, so that a secret that contains another one is removed whole.
        self._secrets = sorted({s for s in secrets if len(s) >= 4}, key=len, reverse=True)
        whole = ("".join(secret.split()) for secret in self._secrets)
        self._long = [secret for secret in whole if len(secret) >= _SHORTEST_BROKEN]

    def __call__(self, text: str) -> str:
        # Pieces first: a part of a secret that is one itself, replaced within it, would hide the whole from this.
        if self._long:
            joined = _joined(text)
            if len(joined) < len(text):
                for secret in self._long:
                    if secret in joined:
                        text = re.sub(_BREAK.join(map(re.escape, secret)), "[redacted]", text)
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, "[redacted]")
        return text


def _joined(text: str) -> str:
    """`text` without what breaks lines; quick where there is nothing but blanks."""
    if "\\" in text or "<" in text or "=" in text or not text.isascii():
        text = _MARKS.sub("", text)
    return "".join(text.split())
