"""The opposite said: a "not" put in, or taken out."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar, Literal

import regex

from .language import language_of
from .words import Span, is_protected, like, replace_spans, span_of

__all__ = ["Negation"]

_BE = "am|is|are|was|were"
# "May not" and "must not" are no opposites of "may" and "must".
_MODAL = "can|could|will|would|shall|should"
_DO = "do|does|did"
_HAVE = "has|have|had"
_SHORT = r"I['’]m|(?:you|we|they)['’]re|(?:it|he|she|there)['’]s"
_VERB = regex.compile(
    rf"(?i)(?<![\p{{L}}'’])(?:(?P<plain>{_BE}|{_MODAL})|(?P<have>{_HAVE})(?=\s+(?:been|\p{{L}}+(?:ed|en)|made|had|done|gone|"
    r"left|lost|won|found|said|kept)\b))(?![\p{L}'’\-])"
)
_NEGATED = regex.compile(
    rf"(?i)(?<![\p{{L}}'’])(?P<verb>{_BE}|{_MODAL}|{_DO}|{_HAVE}|{_SHORT})(?P<not>\s+not\b|n['’]t\b)"
)
_IRREGULAR = regex.compile(r"(?i)(?<![\p{L}'’])(?P<verb>cannot|can['’]t|won['’]t|shan['’]t)(?![\p{L}])")
_PLAIN_FORM = {"cannot": "can", "can't": "can", "won't": "will", "shan't": "shall"}
_SHORT_PRONOUN = regex.compile(rf"(?i)(?<![\p{{L}}'’])(?:{_SHORT})(?=\s)")
_QUESTION = regex.compile(r"[?？]\s*[\"”’)]*\s*\Z")
# One clause that is denied does not turn the others round.
_SEVERAL = regex.compile(r"(?i)[.!?…][\"”’)]*\s+\S|[;:]|\bbut\b|\byet\b|\balthough\b|\bnot only\b|\n")
# After one of these the verb is not that of the main clause.
_SUBORDINATE = regex.compile(
    r"(?i)\b(?:that|which|who|whom|whose|what|if|as|because|when|while|though|since|where|how|why|whether|considering|"
    r"until|unless|before|after|than)\b"
)
_OTHER_NO = regex.compile(r"(?i)\b(?:never|nothing|nobody|none|neither|nor|no|without|hardly|scarcely|barely)\b")
# The longer ones first. 是 within a word (但是, 可是, 还是, 就是, 只是, 于是, 总是, 不是) says something else.
_HAN_NO = (("不是", "是"), ("没有", "有"), ("不会", "会"), ("不能", "能"), ("不可以", "可以"), ("不应该", "应该"))
# 没有 before a verb denies that it was done (没有去), which 有 does not affirm; before one of these it says that there
# is none.
_HAN_NOT_DONE = regex.compile(
    r"没有(?![一两几半二三四五六七八九十百千万\d这那任什多更]|[人钱用错空](?!\p{Han})|时间|办法|问题|意[思义]|希望|机会|必要|理由|经验|兴趣|"
    r"效果|新意|诚意|深度|亮点|特色|区别|关系|影响|帮助)"
)
_HAN_YES = regex.compile(
    r"(?<![但可还就只于总不都要若正老算凡净])是(?!否|非|不是)|(?<![没所只拥具含享占还])有(?!些|点|的|时|效|趣|名|没有)|可以|应该"
)
_HAN_SEVERAL = regex.compile(r"[。！？!?；;…][”」』）]*\s*\S|[但却]|不过|虽然|不仅|\n")
_HAN_NEGATIVE = {"是": "不是", "有": "没有", "可以": "不可以", "应该": "不应该"}


@dataclass(frozen=True, kw_only=True)
class Negation:
    """The opposite: "not" after the first auxiliary verb, or the one that stands there taken out.

    The right answer changes with it, so that what counts is how often the model's does. It is done only where rules
    are safe: statements, with an auxiliary or a form of "be", in which no other word denies ("never", "nothing").
    Texts of several sentences or with a "but", questions, verbs in a subordinate clause, and verbs that would need "do"
    have nothing to rewrite.

    Options:
        language: en, zh, or auto, that of the text; one that is evidently in another language has nothing to rewrite.
    """

    language: Literal["auto", "en", "zh"] = "auto"

    name: ClassVar[str] = "negation"
    main: ClassVar[str] = "language"
    keeps_meaning: ClassVar[bool] = False

    def rewrite(self, text: str, rng: random.Random) -> str | None:
        if _QUESTION.search(text):
            return None
        language = (language_of(text) or "en") if self.language == "auto" else self.language
        if language not in ("en", "zh"):
            return None  # "am" and "was" are German words, too
        made = _of_chinese(text) if language == "zh" else _of_english(text)
        if made is None or is_protected(text, made.start, max(made.end, made.start + 1)):
            return None
        return replace_spans(text, [made])


def _of_english(text: str) -> Span | None:
    """The change that turns the text round, where the first verb of one clause can bear it."""
    if _SEVERAL.search(text):
        return None
    irregular, negated = _IRREGULAR.search(text), _NEGATED.search(text)
    if irregular is not None and (negated is None or irregular.start() < negated.start()):
        verb = irregular.group()
        if _SUBORDINATE.search(text, 0, irregular.start()):
            return None
        return span_of(irregular, like(verb, _PLAIN_FORM[verb.lower().replace("’", "'")]))
    if negated is not None:
        if _SUBORDINATE.search(text, 0, negated.start()):
            return None
        return Span(negated.start("not"), negated.end("not"), "")
    if _OTHER_NO.search(text):
        return None
    found = [match for match in (_VERB.search(text), _SHORT_PRONOUN.search(text)) if match is not None]
    if not found:
        return None
    first = min(found, key=lambda match: match.start())
    if _SUBORDINATE.search(text, 0, first.start()):
        return None
    if not text[: first.start()].strip() and first.re is _VERB:
        return None  # "Is it good", "Do come": a question without its mark, or an order
    if first.group().lower() == "can":
        return Span(first.start(), first.end(), like(first.group(), "cannot"))
    word = " NOT" if first.group().isupper() and len(first.group()) > 1 else " not"
    return Span(first.end(), first.end(), word)


def _of_chinese(text: str) -> Span | None:
    if _HAN_SEVERAL.search(text):
        return None
    negative = [(text.find(no), no, yes) for no, yes in _HAN_NO if no in text]
    if negative:
        place, no, yes = min(negative)
        if _HAN_NOT_DONE.match(text, place):
            return None
        return Span(place, place + len(no), yes)
    found = _HAN_YES.search(text)
    return None if found is None else span_of(found, _HAN_NEGATIVE[found.group()])
