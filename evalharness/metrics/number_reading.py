"""Numbers as people and models write them, read as exact fractions."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from functools import cache
from typing import Literal

__all__ = ["numbers_in"]

# Longer ones are not worth the time that exact arithmetic would take.
_MOST_DIGITS = 400
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_POWER_OF_TEN = re.compile("(?<=10)[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
# A fraction stands apart from what is before it (2½ is 2 1/2), but not from its sign.
_BEFORE_FRACTION = re.compile(r"(?<![-+−－﹣– ])[ ]*(?=[¼-¾⅐-⅞↉]|\\[dt]?frac)")
_PLAIN = {
    "−": "-", "－": "-", "﹣": "-", "–": "-", "\N{NON-BREAKING HYPHEN}": "-",
    "％": "%", "٪": "%", "⁄": "/", "∕": "/", "’": "'",
    "\N{NO-BREAK SPACE}": "\u202f", "\N{THIN SPACE}": "\u202f",
}  # fmt: skip
_TEX = (
    (_BEFORE_FRACTION, " "),
    (re.compile(r"\\[dt]?frac\s*(?:\{\s*(-?\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))"), r"\1\2/\3\4 "),
    (re.compile(r"\\(?:times|cdot)(?![A-Za-z])"), "×"),
    (re.compile(r"\^\{\s*([-+]?\d+)\s*\}"), r"^\1"),
    (re.compile(r"\{,\}|,\\!|(?<=\d)\\,(?=\d{3}(?!\d))"), ","),
    (re.compile(r"\\([%$])"), r"\1"),
)


@cache
def _pattern(decimal: str) -> re.Pattern[str]:
    point, group = (r"\.", ",") if decimal == "point" else (",", r"\.")
    return re.compile(
        rf"""
        (?<![A-Za-z0-9_.^/]) (?P<sign>[-+])? (?: [$€£¥₹] \s? (?P<inner>[-+])? )? (?={point}?\d)
        (?:
            10 \s? (?:\^|\*\*) \s? \(? (?P<power>[-+]?\d+) \)?
          | (?P<mixed>\d+) [ ] (?P<over>\d+) / (?P<under>\d+) (?![\d/])
          | (?P<whole> \d{{1,3}} (?P<by>[{group}'_\u202f]) \d{{3}} (?:(?P=by)\d{{3}})* (?!\d)
              | \d{{1,2}} (?:{group}\d{{2}})+ {group}\d{{3}} (?!\d)
              | \d+ )? (?P<part>{point}\d+)?
            (?: [eE] (?P<exponent>[-+]?\d+)
              | \s? [×x*·] \s? 10 \s? (?:\^|\*\*) \s? \(? (?P<ten>[-+]?\d+) \)?
              | \s? / \s? (?P<divisor>\d+(?:{point}\d+)?) (?! \d | \s?/\s?\d ) )?
        )
        (?P<percent>\s?%|\s?per\s?cent\b)?
        """,
        re.VERBOSE,
    )


def numbers_in(
    text: str, *, decimal: Literal["point", "comma"] = "point", percent: Literal["hundredths", "sign"] = "hundredths"
) -> list[Fraction]:
    """The numbers that stand in `text`, in order; digits behind a letter or one of `_.^/` (`x2`, `m^2`) are none."""
    found = (_value(match, percent) for match in _pattern(decimal).finditer(_plain(text, decimal)))
    return [value for value in found if value is not None]


def _plain(text: str, decimal: str) -> str:
    """`text` with the signs of other scripts, of typesetters and of TeX as ASCII has them."""
    for pattern, instead in _TEX:
        if "\\" in text or "{" in text:
            text = pattern.sub(instead, text)
    if text.isascii():
        return text
    text = _POWER_OF_TEN.sub(lambda match: f"^{match.group().translate(_SUPERSCRIPTS)}", text)
    text = _BEFORE_FRACTION.sub(" ", text)
    return "".join(c if c.isascii() else _sign(c, decimal) for c in text)


def _sign(c: str, decimal: str) -> str:
    if c in _PLAIN:
        return _PLAIN[c]
    if c in "٫٬":  # Arabic: decimals and thousands
        return "." if (c == "٫") == (decimal == "point") else ","
    digit = unicodedata.decimal(c, None)
    if digit is not None:
        return str(digit)
    if unicodedata.category(c) == "No" and "⁄" in (parts := unicodedata.normalize("NFKC", c)):
        return parts.replace("⁄", "/")
    return c


def _value(match: re.Match[str], percent: str) -> Fraction | None:
    part = match.groupdict()
    size = _size(part)
    if size is None:
        return None
    if (part["sign"] == "-") != (part["inner"] == "-"):
        size = -size
    return size / 100 if part["percent"] and percent == "hundredths" else size


def _size(part: dict[str, str | None]) -> Fraction | None:
    if part["power"] is not None:
        return _scaled(Fraction(1), part["power"])
    if part["mixed"] is not None:
        whole, over, under = (_whole(part[name]) for name in ("mixed", "over", "under"))
        return None if whole is None or over is None or not under else whole + over / under
    digits = re.sub(r"\D", "", part["whole"] or "")
    decimals = (part["part"] or " ")[1:]
    if not digits + decimals or len(digits + decimals) > _MOST_DIGITS:
        return None
    size = Fraction(int(digits + decimals), 10 ** len(decimals))
    if part["divisor"] is not None:
        divisor = part["divisor"].replace(",", ".")
        if len(divisor) > _MOST_DIGITS or not Fraction(divisor):
            return None
        return size / Fraction(divisor)
    return _scaled(size, part["exponent"] or part["ten"] or "0")


def _whole(digits: str | None) -> Fraction | None:
    return None if digits is None or len(digits) > _MOST_DIGITS else Fraction(int(digits))


def _scaled(size: Fraction, exponent: str) -> Fraction | None:
    if len(exponent) > 5 or abs(int(exponent)) > _MOST_DIGITS:
        return None
    return size * Fraction(10) ** int(exponent)
