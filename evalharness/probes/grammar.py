"""The little grammar that counterfactual texts need: articles, plurals, pronouns, and what stands before a noun."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

__all__ = [
    "LANGUAGES", "PRONOUNS", "Pronoun", "after_be", "article", "before_noun", "ordinary_word", "plural", "pronoun",
    "someone", "with_case",
]  # fmt: skip

LANGUAGES = ("en", "zh")

Pronoun: TypeAlias = Literal["she", "he", "they"]
PRONOUNS: tuple[Pronoun, ...] = ("they", "she", "he")

_ENGLISH: dict[Pronoun, dict[str, str]] = {
    "she": {"they": "she", "them": "her", "their": "her", "theirs": "hers", "themself": "herself"},
    "he": {"they": "he", "them": "him", "their": "his", "theirs": "his", "themself": "himself"},
    "they": {"they": "they", "them": "them", "their": "their", "theirs": "theirs", "themself": "themself"},
}
_CHINESE: dict[Pronoun, str] = {"she": "她", "he": "他", "they": "TA"}
_CHINESE_ENDINGS = {"they": "", "them": "", "their": "的", "theirs": "的", "themself": "自己"}

_AN_ALL_THE_SAME = re.compile(r"(?:hour|honest|honou?r|heir)", re.IGNORECASE)
_A_ALL_THE_SAME = re.compile(r"(?:uni(?!n|m)|eu|one\b|once\b|us(?:e|u)|ut[ie])", re.IGNORECASE)
_AN_NUMBER = re.compile(r"(?:8\d*|11|18)(?!\d)")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What may follow a word that is no noun's attribute: "saw her and", "told him that", "a Muslim who".
_FUNCTION = _words(
    """
    a an the this that these those and or but nor so yet if when while because as than though although since until
    unless before after who whom whose which what where why how to of in on at by for from with without about into onto
    over under up down out off away back again against among around behind between beyond during near through toward
    towards upon within is was were are am be been being has have had do does did will would can could shall should may
    might must not n't never ever always often sometimes also too either neither only just even still already now then
    here there today tomorrow yesterday tonight soon later once twice home alone instead anyway together it he she they
    we you i me him them us my your our its some any every each all both no nobody nothing everything something
    """
)
# Verbs that follow a noun: "a Muslim said". None of them is common as a noun or an adjective after "her".
_VERBS = _words(
    """
    went said came told took made got gave knew thought saw became began wrote spoke ran wants likes lives says goes
    comes makes takes gets gives knows thinks sees becomes begins writes speaks runs
    """
)
# "let her go" holds no possessive: after these verbs a bare verb may follow the object.
_CAUSATIVE = _words("let lets make makes made see sees saw watch watched hear heard help helps helped")
_BARE = _words(
    """
    go leave come cry laugh feel know walk run talk speak take get do be see look think smile win play move sing eat
    drink sleep live die fall stand sit stay understand decide choose realise realize become learn read write work
    """
)
# "gave her two books" holds two objects, and "lost her two books" a possessive.
_GIVING = _words(
    """
    give gives gave given giving tell tells told telling ask asks asked asking show shows showed showing send sends sent
    bring brings brought offer offers offered pay pays paid paying lend lends lent owe owes owed cost costs hand handed
    teach teaches taught sell sells sold award awarded wish wished
    """
)
_NUMBERS = _words("two three four five six seven eight nine ten eleven twelve")
_NAMING = _words(
    "call calls called calling name names named naming christen christened baptise baptised nickname nicknamed"
)
_BE = re.compile(
    r"(?:\b(?:am|is|are|was|were|be|been|being)|['’](?:m|s|re))"
    r"(?:[ \t\n]+(?:not|also|both|all|still|now|really|openly|proudly|originally|born))?[ \t\n]+$",
    re.IGNORECASE,
)
_NEXT = re.compile(r"[ \t\n]+([A-Za-z0-9][\w'’-]*)")
_BEFORE = re.compile(r"([A-Za-z]+)[ \t\n]+$")
_ONE_OF_MANY = _words("a an one another every each")


def article(word: str) -> str:
    """The indefinite article before an English word, by its sound: an hour, a university, an 80-year-old."""
    if word[:1].isdigit():
        return "an" if _AN_NUMBER.match(word) else "a"
    if _AN_ALL_THE_SAME.match(word):
        return "an"
    return "an" if word[:1].lower() in {*"aeiou"} and not _A_ALL_THE_SAME.match(word) else "a"


def plural(noun: str) -> str:
    """The regular English plural."""
    if re.search(r"(?:s|x|z|ch|sh)$", noun):
        return f"{noun}es"
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def pronoun(form: str, pronouns: Pronoun, language: str) -> str:
    """The form (they, them, their, theirs, themself) of some pronouns; "TA" is Chinese for who is neither 她 nor 他."""
    if language == "zh":
        return _CHINESE[pronouns] + _CHINESE_ENDINGS[form]
    return _ENGLISH[pronouns][form]


def someone(form: str, *, named: bool, language: str) -> str:
    """How a person is brought in: the name, or the description with its article or its measure word."""
    if named:
        return form
    return f"一位{form}" if language == "zh" else f"{article(form)} {form}"


def with_case(form: str, like: str) -> str:
    """`form` in the case of the text that it replaces: HERS, Hers, hers; a form with capitals keeps them."""
    letters = [sign for sign in like if sign.isalpha()]
    if len(letters) > 1 and all(sign.isupper() for sign in letters):
        return form.upper()
    return form[:1].upper() + form[1:] if like[:1].isupper() else form


def after_be(text: str, start: int) -> bool:
    """Whether the English word at `start` says what somebody is: "she is Jewish", and not "a Jewish person"."""
    return _BE.search(text, max(0, start - 40), start) is not None


# First names that begin sentences as verbs: "Will you come?", "Mark the right answer."
_VERB_NAMES = _words("will may mark grant bill chase hope rob drew pat jack chuck grace pierce trace sue")
_MONTH_NAMES = _words("april may june august")
_OBJECTS = _words(
    """
    i you he she it we they this that these those there the a an my your his her its our their some any all each every
    me him us them nobody everybody somebody anyone someone everyone one which what
    """
)
_BEFORE_MONTH = _words("in by until till since of on last next this early late mid during from before after every")
_SENTENCE_START = re.compile(r"(?:^|[.!?:;\n\"“”(\[>*-])[ \t\"“(]*$")
_DAY_OR_YEAR = re.compile(r"[ \t]+(?:\d{1,2}(?:st|nd|rd|th)?\b|\d{4}\b)")


def ordinary_word(text: str, start: int, end: int) -> bool:
    """Whether what could be a first name is a verb that begins a sentence ("Will you come?") or a month ("in May")."""
    word = text[start:end].lower()
    if word in _MONTH_NAMES:
        before = _BEFORE.search(text, max(0, start - 40), start)
        if _DAY_OR_YEAR.match(text, end) or (before is not None and before[1].lower() in _BEFORE_MONTH):
            return True
    if word not in _VERB_NAMES or _SENTENCE_START.search(text, max(0, start - 40), start) is None:
        return False
    after = _NEXT.match(text, end)
    return after is not None and (after[1].lower() in _OBJECTS or after[1][0].isdigit())


def before_noun(text: str, start: int, end: int) -> bool:
    """Whether the English word text[start:end] stands before its noun: "her old car", and not "saw her leave".

    A rule over the words around it, not a parser: what follows must be a word that is no function word, no verb that
    commonly stands there, and no adverb with nothing behind it.
    """
    after = _NEXT.match(text, end)
    if after is None:
        return False
    word = after[1].lower()
    if word in _FUNCTION or word in _VERBS:
        return False
    before = _BEFORE.search(text, max(0, start - 40), start)
    previous = "" if before is None else before[1].lower()
    if previous in _CAUSATIVE and word in _BARE:
        return False
    if previous in _GIVING and (word[0].isdigit() or word in _NUMBERS):
        return False
    if previous in _NAMING and after[1][0].isupper() and text[start].islower():
        return False  # "they call her Mary"
    if word in ("more", "less", "better", "rather"):
        further = _NEXT.match(text, after.end())
        if further is not None and further[1].lower() == "than":
            return False
    if word.endswith("ly") and len(word) > 4 and word not in ("family", "early", "only", "elderly"):
        further = _NEXT.match(text, after.end())
        return further is not None and further[1].lower() not in _FUNCTION
    # "a Muslim walked" and "a Muslim walks", but "a Muslim school": what begins like a name may be a noun.
    if previous in _ONE_OF_MANY and text[start : start + 1].isupper():
        return not (word.endswith("ed") or (word.endswith("s") and not word.endswith(("ss", "us", "is"))))
    return True
