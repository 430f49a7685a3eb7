"""Whole numbers in English words, and back."""

from __future__ import annotations

__all__ = ["LARGEST", "number_in_words", "read_number"]

LARGEST = 999_999_999_999
_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ("", " thousand", " million", " billion")
_VALUES = {word: n for n, word in enumerate(_ONES)} | {word: 10 * (n + 2) for n, word in enumerate(_TENS)}
_STEPS = {"thousand": 10**3, "million": 10**6, "billion": 10**9}


def number_in_words(number: int) -> str:
    """`number`, from 0 to `LARGEST`, in American English: 1,342 is "one thousand three hundred forty-two".

    Raises:
        ValueError: `number` lies outside.
    """
    if not 0 <= number <= LARGEST:
        raise ValueError(f"number must be from 0 to {LARGEST}; got {number}")
    if number == 0:
        return _ONES[0]
    parts = []
    for power in (3, 2, 1, 0):
        group = number // 1000**power % 1000
        if group:
            parts.append(_below_thousand(group) + _SCALES[power])
    return " ".join(parts)


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    parts = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest and rest < 20:
        parts.append(_ONES[rest])
    elif rest:
        tens, ones = divmod(rest, 10)
        parts.append(_TENS[tens - 2] + (f"-{_ONES[ones]}" if ones else ""))
    return " ".join(parts)


def read_number(text: str) -> int | None:
    """The number that English words name, "and" or none between them; None where they name none.

    Only what `number_in_words` writes is read, so that "twenty twelve" (a year) and "one two three" are none.
    """
    total = group = 0
    for word in text.lower().replace("-", " ").split():
        if word == "and":
            continue
        if word in _VALUES:
            group += _VALUES[word]
        elif word == "hundred":
            group *= 100
        elif word in _STEPS:
            total += group * _STEPS[word]
            group = 0
        else:
            return None
    found = total + group
    if found > LARGEST:
        return None
    plain = " ".join(word for word in text.lower().replace("-", " ").split() if word != "and")
    return found if number_in_words(found).replace("-", " ") == plain else None
