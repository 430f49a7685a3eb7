"""Texts rewritten along an axis: each term of it becomes its counterpart at one level.

Everybody in a row is rewritten to the level, consistently over all fields: "The man told his wife" is "The woman told
her wife" at female and "The man told his husband" at male. A name has one counterpart in a row, and two names have two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from evalharness.core.types import Json

from .grammar import after_be, article, before_noun, ordinary_word, with_case
from .terms import Axis, Person, When

__all__ = ["Rewriter"]

_ARTICLE = re.compile(r"\b(an?)([ \t\n]+)$", re.IGNORECASE)
_TITLES = r"(?:Mrs|Ms|Mr|Miss|Dr|Prof|Professor|Sir|Madam)\.?[ \t]+$"
_TITLE = re.compile(_TITLES)
# What stands behind these alone is a last name: "Mr. James said", and not "Mr. James Smith".
_BEFORE_LAST = re.compile(r"\b(?:Mrs|Ms|Mr)\.?[ \t]+$")
_CAPITAL_NEXT = re.compile(r"[ \t]+[A-Z]")
_WORD_BEFORE = re.compile(r"([\w'’-]+)[ \t]+$")
_ADDRESS = r"(?:https?://|www\.)[^\s<>\"]+|[\w.+-]+@[\w-]+\.[\w.-]+"
_Texts = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What a form may be: words under a condition, the first name of a person, or a last name."""

    forms: Mapping[str, str]
    listed: str
    when: When = "any"
    person: int | None = None
    last: bool = False


@dataclass(frozen=True, slots=True)
class _Names:
    """Who the names of a row are: the person whose counterparts each first name takes, by name; last names in use."""

    people: Mapping[str, int]
    last: Mapping[str, int]


class Rewriter:
    """Rewrites texts to the levels of one axis.

    English terms are whole words in any case (names with their capitals); Chinese ones stand anywhere. Of terms that
    overlap the longest counts. What stands under the axis's `keep` is left as it is.
    """

    def __init__(self, axis: Axis) -> None:
        self.axis = axis
        self.levels = axis.rewritten
        self._spaced = axis.language == "en"

    @property
    def has_terms(self) -> bool:
        """Whether there is anything that it could rewrite."""
        return bool(self._candidates)

    def rewritten(self, values: Sequence[Json], level: str) -> list[Json] | None:
        """The values with all their texts at `level`; None where no text has a term, or names would run together."""
        texts = [text for value in values for text in _texts(value)]
        names = self._names(texts)
        if names is None:
            return None
        found = False

        def at_level(text: str) -> str:
            nonlocal found
            done, n_terms = self._text(text, level, names)
            found = found or n_terms > 0
            return done

        done = [_mapped(value, at_level) for value in values]
        return done if found else None

    # ── terms ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _candidates(self) -> dict[str, list[_Candidate]]:
        """What each form may be, by its lower case, in the order of the file; none for what is kept."""
        found: dict[str, list[_Candidate]] = {}
        for number, (first, last) in enumerate(self._people):
            for level in self.levels:
                found.setdefault(first[level].lower(), []).append(_Candidate(first, first[level], person=number))
                if last is not None:
                    known = found.setdefault(last[level].lower(), [])
                    known.append(_Candidate(last, last[level], person=number, last=True))
        for name, number in self.axis.also.items():
            # A name that is somebody's already stays that one's.
            found.setdefault(name.lower(), [_Candidate(self._people[number][0], name, person=number)])
        for words in self.axis.words:
            for level in self.levels:
                form = words.forms[level]
                found.setdefault(form.lower(), []).append(_Candidate(words.forms, form, words.when))
        for kept in self.axis.keep:
            found[kept.lower()] = []
        return found

    @cached_property
    def _people(self) -> list[tuple[dict[str, str], dict[str, str] | None]]:
        """First names and last names of people by level; no last names where they are the same at every level."""
        if not self.axis.named:
            return []
        return [self._parts(person) for person in self._everybody]

    @cached_property
    def _everybody(self) -> tuple[Person, ...]:
        """The people of templates, then those who stand in texts only."""
        return (*self.axis.people, *self.axis.others)

    @cached_property
    def _pronouns(self) -> list[tuple[str, ...]]:
        return [tuple(person.pronouns[level] for level in self.levels) for person in self._everybody]

    def _parts(self, person: Person) -> tuple[dict[str, str], dict[str, str] | None]:
        forms = {level: person.forms[level] for level in self.levels}
        if not self._spaced or not all(" " in form for form in forms.values()):
            return forms, None
        first = {level: form.partition(" ")[0] for level, form in forms.items()}
        last = {level: form.partition(" ")[2] for level, form in forms.items()}
        return first, last if len(set(last.values())) > 1 else None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        forms = sorted(self._candidates, key=len, reverse=True)
        if self._spaced:
            # Nor within "man-made", "she@example.org" or an address of the web, which is matched as a whole.
            any_form = "|".join(re.escape(form).replace(r"\ ", r"[ \t\n]+") for form in forms)
            return re.compile(rf"{_ADDRESS}|(?<![\w@-])(?:{any_form})(?![\w@]|-\w)", re.IGNORECASE)
        names = {form for first, _ in self._people for form in first.values()}
        return re.compile("|".join(_chinese(form, name=form in names) for form in forms))

    # ── one row ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _names(self, texts: Sequence[str]) -> _Names | None:
        """Who the first names of a row are; None where two of them would get one counterpart and none is free."""
        people: dict[str, int] = {}
        last: dict[str, int] = {}
        for text in texts if self.axis.named else ():
            for match in self._pattern.finditer(text):
                found = self._first_name(match)
                if found is None:
                    continue
                name, number = found
                if name not in people:
                    free = self._free(number, set(people.values()))
                    if free is None:
                        return None
                    people[name] = free
                behind = self._last_behind(text, match.end(), number)
                if behind:
                    last.setdefault(behind, people[name])
        return _Names(people, last)

    def _first_name(self, match: re.Match[str]) -> tuple[str, int] | None:
        for candidate in self._candidates.get(_key(match[0]), ()):
            if self._names_somebody(candidate, match):
                assert candidate.person is not None
                return candidate.listed, candidate.person
        return None

    def _names_somebody(self, candidate: _Candidate, match: re.Match[str]) -> bool:
        """Whether a first name stands for a person: it is no word of the sentence ("Will you"), and no last name."""
        if candidate.person is None or candidate.last or not _written(candidate, match[0]):
            return False
        if not self._spaced:
            return True
        text, start, end = match.string, match.start(), match.end()
        if ordinary_word(text, start, end):
            return False
        if _BEFORE_LAST.search(text, max(0, start - 16), start) and not _CAPITAL_NEXT.match(text, end):
            return False
        # "Henry James": what follows a first name at once is no second person.
        before = _WORD_BEFORE.search(text, max(0, start - 40), start)
        known = () if before is None else self._candidates.get(before[1].lower(), ())
        return before is None or not any(
            one.person is not None and not one.last and _written(one, before[1]) for one in known
        )

    def _free(self, number: int, taken: set[int]) -> int | None:
        """The person `number`, or the next one with the same pronouns whom no other name of the row has become."""
        own = self._pronouns[number]
        same = [place for place, pronouns in enumerate(self._pronouns) if pronouns == own]
        ahead = [*same[same.index(number) :], *same[: same.index(number)]]
        return next((place for place in ahead if place not in taken), None)

    def _last_behind(self, text: str, end: int, number: int) -> str:
        """The last name of the list that stands right behind a first name; "" where there is none."""
        last = self._people[number][1]
        match = re.compile(r"[ \t\n]+").match(text, end) if last is not None else None
        found = None if match is None else self._pattern.match(text, match.end())
        if found is None or not any(candidate.last for candidate in self._candidates.get(_key(found[0]), ())):
            return ""
        return found[0].lower()

    def _text(self, text: str, level: str, names: _Names) -> tuple[str, int]:
        """(the text at `level`, how many terms it has)."""
        done = ""
        end = n_terms = 0
        for match in self._pattern.finditer(text):
            form = self._replacement(match, level, names)
            done += text[end : match.start()]
            end = match.end()
            if form is None:
                done += match[0]
                continue
            n_terms += 1
            if self._spaced and form.lower() != match[0].lower():
                done = _with_article(done, form)
            done += form
        return done + text[end:], n_terms

    def _replacement(self, match: re.Match[str], level: str, names: _Names) -> str | None:
        """What stands in the place of a match at `level`; None where it is left alone."""
        shown = match[0]
        forms: Mapping[str, str] | None
        for candidate in self._candidates.get(_key(shown), ()):
            if not _written(candidate, shown):
                continue
            if candidate.last:
                titled = _TITLE.search(match.string, max(0, match.start() - 16), match.start())
                person = names.last.get(_key(shown), candidate.person if titled else None)
                forms = None if person is None else self._people[person][1]
            elif candidate.person is not None:
                somebody = self._names_somebody(candidate, match)
                forms = self._people[names.people[candidate.listed]][0] if somebody else None
            elif candidate.when == "any" or not self._spaced:
                forms = candidate.forms
            elif candidate.when == "after_be":
                forms = candidate.forms if after_be(match.string, match.start()) else None
            else:
                stands = before_noun(match.string, match.start(), match.end())
                forms = candidate.forms if stands == (candidate.when == "before_noun") else None
            if forms is not None:
                own = candidate.listed.lower() == forms[level].lower()
                return shown if own else with_case(forms[level], shown)
        return None


def _chinese(form: str, *, name: bool) -> str:
    """Where a Chinese form may stand: 25岁 is no part of 125岁, nor the name 王丽 of 王丽丽."""
    before = r"(?<!\d)" if form[0].isdigit() else ""
    return before + re.escape(form) + (rf"(?!{re.escape(form[-1])})" if name else "")


def _key(shown: str) -> str:
    return " ".join(shown.lower().split())


def _written(candidate: _Candidate, shown: str) -> bool:
    """Whether what stands in the text is written as the term is: names with their capitals, or in capitals only.

    Short words with a capital must have just that: Ms is no millisecond (ms) and no disease (MS).
    """
    listed = candidate.listed
    if candidate.person is not None:
        return shown == listed or (len(shown) > 1 and shown == listed.upper())
    return shown == listed or len(listed) > 4 or not listed[:1].isupper()


def _with_article(before: str, form: str) -> str:
    """The text before a replaced word with a or an as the new word has it."""
    match = _ARTICLE.search(before)
    if match is None:
        return before
    right = article(form)
    shown = right.upper() if match[1] == "AN" else right.capitalize() if match[1][0] == "A" else right
    return f"{before[: match.start()]}{shown}{match[2]}"


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item)


def _mapped(value: Json, change: _Texts) -> Json:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(item, change) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_mapped(item, change) for item in value]
    return value
