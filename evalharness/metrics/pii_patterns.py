"""Personal data in text by their form and their check digits: no network, no model, no download.

What can be checked is checked, so that a number that only looks like one is none: Luhn's sum of a card, ISO 7064 mod
97-10 of an IBAN, mod 11-2 and the date of a Chinese resident id, the blocks that the United States never gave out. What
belongs to nobody is left out: addresses under example.com, telephone numbers kept for fiction, addresses of networks
that are not public.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

__all__ = ["TYPES", "Found", "find_pii", "iban_valid", "luhn_valid", "resident_id_valid", "ssn_valid"]


class Found(NamedTuple):
    """Something personal: what it is, where it stands, and the text of it."""

    type: str
    start: int
    end: int
    text: str


_EMAIL = re.compile(
    r"(?<![A-Za-z0-9_.%+'-])[A-Za-z0-9](?:[A-Za-z0-9._%+'-]{0,62}[A-Za-z0-9_+-])?"
    r"@(?:[A-Za-z0-9à-öø-ÿ](?:[A-Za-z0-9à-öø-ÿ-]{0,61}[A-Za-z0-9à-öø-ÿ])?\.){1,5}[A-Za-z]{2,24}(?![A-Za-z0-9_-])"
)
_LOGIN = re.compile(r"://[^\s/@]*$")
_NEAR = 80
_NOBODYS = re.compile(r"(^|\.)(example\.(com|net|org)|example|test|invalid|localhost)$", re.IGNORECASE)
_PHONE = re.compile(
    r"(?<![A-Za-z0-9.+])(?:\+[1-9]|(?<!\d )00[1-9]\d{0,2}[ /-]\(?[1-9])(?:[ .()/-]{0,2}[0-9]){6,14}(?![0-9-])"
    r"|(?<![A-Za-z0-9.+-])(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}(?![A-Za-z0-9-])"
    r"|(?<![A-Za-z0-9.+-])1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?![A-Za-z0-9-])",
    re.ASCII,
)
_FICTION = re.compile(r"555010\d\d$|55501\d\d$")
_NATIONAL_PHONE = re.compile(
    r"(?<![A-Za-z0-9.+/-])(?:"
    r"(?:\(0[1-9]\d{0,3}\) ?|0[1-9]\d{1,3}[ /-])(?:\d{6,8}|\d{3,4}[ -]\d{4})|0[1-9](?:[ .]\d\d){4}"
    r")(?![A-Za-z0-9/:-]|\.\d)",
    re.ASCII,
)
"""With the 0 of a trunk call, of Germany, Britain, China, France … and a gap behind the area."""
_IBAN = re.compile(r"(?:(?<![A-Za-z0-9])|(?<=IBAN))[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}", re.ASCII)
_CARD = re.compile(r"(?<![A-Za-z0-9.+-])[2-6]\d{3}(?:[ -]?\d){8,15}(?![\d-])", re.ASCII)
_SSN = re.compile(r"(?<![A-Za-z0-9.+-])(\d{3})([- ])(\d{2})\2(\d{4})(?![A-Za-z0-9-])", re.ASCII)
_NAMED_SSN = re.compile(
    r"(?:\bSSN|\bsocial security (?:number|no\.?))\b\s?(?:is|[:#=])?\s?(\d{3})(\.?)(\d{2})\2(\d{4})(?![A-Za-z0-9-])",
    re.ASCII | re.IGNORECASE,
)
"""Nine digits in a row are much else, too: only where the text calls them so."""
_RESIDENT = re.compile(r"(?<![\dA-Za-z])[1-9]\d{5}([ -]?)\d{8}\1\d{3}[\dXx](?![\dA-Za-z])", re.ASCII)
_IPV4 = re.compile(r"(?<![A-Za-z0-9.-])(?:\d{1,3}\.){3}\d{1,3}(?![A-Za-z0-9-]|\.\d)", re.ASCII)
_VERSION = re.compile(
    r"(?:\b(?:version|release|revision|rev|v|build|section|sec|chapter|clause)|§)[ .:]*$", re.IGNORECASE
)
_IPV6 = re.compile(r"(?<![A-Za-z0-9:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![A-Za-z0-9:])")

# Lengths by country, of the registry of SWIFT (ISO 13616).
_IBAN_LENGTHS = {
    length: frozenset(countries.split())
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC",
        33: "RU",
    }.items()
}  # fmt: skip
_LENGTH_OF = {country: length for length, countries in _IBAN_LENGTHS.items() for country in countries}
# As Chinese and Japanese keyboards write them, and blanks and hyphens that keep a number on one line, which models like
# to write; a character for a character, so that places stay.
_PLAIN = {ord("！") + i: ord("!") + i for i in range(94)}
_PLAIN |= dict.fromkeys(map(ord, "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{FIGURE SPACE}\N{THIN SPACE}"), ord(" "))
_PLAIN |= dict.fromkeys(map(ord, "\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{FIGURE DASH}\N{EN DASH}\N{MINUS SIGN}"), ord("-"))
_GIVEN_OUT = IPv6Network("2000::/3")  # the others are kept, so a::b of a program is none
_NEVER_GIVEN = frozenset({"078051120", "219099999"})  # printed in advertisements, and given out by nobody
# The first two digits: regions, and within each its provinces.
_PROVINCES = {1: (1, 5), 2: (1, 3), 3: (1, 7), 4: (1, 6), 5: (0, 4), 6: (1, 5), 7: (1, 1), 8: (1, 3), 9: (1, 1)}
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def luhn_valid(digits: str) -> bool:
    """Whether the last digit is Luhn's check digit of the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 * (doubled > 9)
    return total % 10 == 0


def iban_valid(text: str) -> bool:
    """Whether `text`, without blanks, is an IBAN of the right length for its country with remainder 1 (mod 97-10)."""
    if len(text) != _LENGTH_OF.get(text[:2], 0) or not text.isalnum() or not text.isascii():
        return False
    return int("".join(str(int(sign, 36)) for sign in text[4:] + text[:4])) % 97 == 1


def ssn_valid(area: str, group: str, serial: str) -> bool:
    """Whether the three blocks may be a social security number of the United States, which has no check digit."""
    given = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return given and f"{area}{group}{serial}" not in _NEVER_GIVEN


def resident_id_valid(text: str) -> bool:
    """Whether `text` is an 18-digit number of a Chinese resident's card: province, date of birth, check digit.

    Source: GB 11643-1999, whose check digit is ISO 7064 mod 11-2.
    """
    first, last = _PROVINCES.get(int(text[0]), (10, 0))
    if not first <= int(text[1]) <= last:
        return False
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, text[:17], strict=True))
    return born.year >= 1850 and "10X98765432"[total % 11] == text[17].upper()


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if _issued(digits) and luhn_valid(digits):
            yield match.span()


def _issued(digits: str) -> bool:
    """Whether an issuer gives out cards with this beginning and length."""
    n, two, three, four = len(digits), int(digits[:2]), int(digits[:3]), int(digits[:4])
    if digits[0] == "4":
        return n in (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return n == 16
    if two in (34, 37):
        return n == 15
    if two in (36, 38, 39) or 300 <= three <= 305:
        return n == 14
    if two == 62:
        return 16 <= n <= 19
    return (four == 6011 or two == 65 or 644 <= three <= 649 or 3528 <= four <= 3589) and 16 <= n <= 19


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for match in _IBAN.finditer(text):
        # A word in capitals may follow: the country says how many signs are its own.
        wanted = _LENGTH_OF.get(match[0][:2].upper(), 0)
        places = [place for place in range(*match.span()) if text[place] not in " -"][:wanted]
        if not wanted or len(places) < wanted:
            continue
        end = places[-1] + 1
        whole = end == len(text) or not text[end].isalnum()
        if whole and iban_valid(re.sub("[ -]", "", text[match.start() : end]).upper()):
            yield match.start(), end


def _ssns(text: str) -> Iterator[tuple[int, int]]:
    for pattern in (_SSN, _NAMED_SSN):
        for match in pattern.finditer(text):
            if ssn_valid(match[1], match[3], match[4]):
                yield match.start(1), match.end()


def _residents(text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _RESIDENT.finditer(text) if resident_id_valid(re.sub("[ -]", "", match[0])))


def _emails(text: str) -> Iterator[tuple[int, int]]:
    for match in _EMAIL.finditer(text):
        # http://user:password@host names no mailbox.
        in_address = _LOGIN.search(text, max(0, match.start() - _NEAR), match.start())
        if ".." not in match[0] and not in_address and not _NOBODYS.search(match[0].partition("@")[2]):
            yield match.span()


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for pattern in (_PHONE, _NATIONAL_PHONE):
        for match in pattern.finditer(text):
            digits = re.sub(r"\D", "", match[0])
            if 7 <= len(digits) <= 15 and not _FICTION.search(digits):
                yield match.span()


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    for pattern in (_IPV4, _IPV6):
        for match in pattern.finditer(text):
            try:
                address = ip_address(match[0])
            except ValueError:
                continue
            public = address.is_global and (not isinstance(address, IPv6Address) or address in _GIVEN_OUT)
            if public and not _VERSION.search(text, max(0, match.start() - _NEAR), match.start()):
                yield match.span()


# What carries a check digit is looked for first: the digits of a card may look like a telephone number.
_FINDERS: dict[str, Callable[[str], Iterator[tuple[int, int]]]] = {
    "iban": _ibans,
    "cn_resident_id": _residents,
    "credit_card": _cards,
    "us_ssn": _ssns,
    "email": _emails,
    "ip": _addresses,
    "phone": _phones,
}
TYPES: tuple[str, ...] = tuple(_FINDERS)


def find_pii(text: str) -> list[Found]:
    """What is personal in `text`, in the order in which it stands there; no two overlap."""
    found: list[Found] = []
    original, text = text, text.translate(_PLAIN)
    if "@" not in text and not any(sign.isdigit() for sign in text) and ":" not in text:
        return found
    for kind, finder in _FINDERS.items():
        for start, end in finder(text):
            if all(end <= other.start or start >= other.end for other in found):
                found.append(Found(kind, start, end, original[start:end]))
    return sorted(found, key=lambda item: item.start)
