"""Whether answers are in the language that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from evalharness.core.errors import MissingExtraError, UsageError
from evalharness.core.protocols import Need
from evalharness.core.registry import suggestion
from evalharness.core.types import FAILED_STATES, Response, Sample

from .base import (
    NEEDS_NOTHING,
    NEEDS_REFERENCES,
    PROPORTION,
    MeanMetric,
    MetricOptionError,
    answer_text,
    golds,
    package_version,
    require,
)

__all__ = ["LanguageMatch", "detected_language"]

# Which scripts texts of a language are mostly written in. Languages that share one cannot be told apart by it.
_LANGUAGES_OF = {
    "Latin": (
        "af az bs ca cs cy da de en eo es et eu fi fr ga gl hr ht hu id is it la lb lt lv mg ms mt nb nl nn no oc pl "
        "pt ro sk sl so sq sv sw tl tr uz vi wa xh zu"
    ),
    "Cyrillic": "be bg kk ky mk mn ru sr tg tt uk",
    "Arabic": "ar fa ku ps sd ug ur",
    "Hebrew": "he yi",
    "Greek": "el",
    "Armenian": "hy",
    "Georgian": "ka",
    "Devanagari": "hi mr ne sa",
    "Bengali": "as bn",
    "Gujarati": "gu",
    "Gurmukhi": "pa",
    "Kannada": "kn",
    "Malayalam": "ml",
    "Oriya": "or",
    "Sinhala": "si",
    "Tamil": "ta",
    "Telugu": "te",
    "Thai": "th",
    "Lao": "lo",
    "Khmer": "km",
    "Myanmar": "my",
    "Tibetan": "bo",
    "Ethiopic": "am",
    "Hangul": "ko",
    "Japanese": "ja",
    "Han": "zh",
}
_SCRIPT_OF = {language: script for script, languages in _LANGUAGES_OF.items() for language in languages.split()}
_SCRIPT_OF |= {"sr-latn": "Latin"}


def _base_code(language: str) -> str:
    """`pt` of pt-BR and pt_BR; the newer of two codes of one language."""
    code = language.strip().lower().replace("_", "-").partition("-")[0]
    return {"iw": "he", "in": "id", "ji": "yi"}.get(code, code)


@cache
def _script_patterns() -> Mapping[str, Any]:
    import regex

    scripts = [script for script in _LANGUAGES_OF if script not in ("Japanese", "Han")]
    patterns = {script: regex.compile(rf"\p{{Script={script}}}") for script in scripts}
    return patterns | {"Han": regex.compile(r"\p{Han}"), "Kana": regex.compile(r"[\p{Hiragana}\p{Katakana}]")}


def _script(text: str) -> str:
    """The script of most letters of a text, "" without any; Han with kana beside it is Japanese."""
    counts = {script: len(pattern.findall(text)) for script, pattern in _script_patterns().items()}
    kana = counts.pop("Kana")
    if kana:
        counts["Japanese"] = kana + counts.pop("Han")
    best = max(counts, key=counts.__getitem__)
    return best if counts[best] else ""


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise MissingExtraError("py3langid", "language", purpose="language_match with detector: py3langid") from error
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def detected_language(text: str) -> str:
    """The most likely language of a text, "" where it has no letters."""
    if not any(character.isalpha() for character in text):
        return ""
    return str(_identifier().classify(text)[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageMatch(MeanMetric):
    """Share of answers that are in the language asked for.

        value = Σ_i [detected language of answer_i = expected language_i] / n

    The expected language is `language`, or what the sample's column `group` says, or else that of its references. An
    answer without letters (a number, a formula) is not measured. Where a language has a script to itself (Chinese,
    Thai, Greek), an answer that is mostly in it is in that language, however short. Of other answers of a few words,
    detectors are often wrong, and near languages (Bokmål and Nynorsk, Croatian and Serbian) they tell apart badly: look
    at some answers before you gate on it.

    Options:
        language: the ISO 639-1 code of the language of all answers, such as de.
        group: the group column that has each sample's code.
        detector: py3langid knows 139 languages and needs the extra `language`; script needs nothing and only looks at
            what most letters are: it tells Russian from German, and never Dutch from German.

    Source: Lui and Baldwin 2012 (P12-3005), in py3langid; the script property of Unicode (UAX #24).
    """

    language: str | None = None
    group: str | None = None
    detector: Literal["py3langid", "script"] = "py3langid"

    name = "language_match"
    interval = PROPORTION
    total = "matching"

    def __post_init__(self) -> None:
        require(self.language is None or self.group is None, "language and group exclude each other; give one of them")
        for option in ("language", "group"):
            value = getattr(self, option)
            require(value is None or bool(value.strip()), f"{option} must not be empty")
        if self.detector == "script" and self.language is not None:
            _script_of(self.language)

    @property
    def needs(self) -> frozenset[Need]:  # type: ignore[override]
        return NEEDS_REFERENCES if self.language is None and self.group is None else NEEDS_NOTHING

    @property
    def signature(self) -> str:
        """With the version of the detector."""
        parts = [self.name, *(f"{key}:{value}" for key, value in self.options().items())]
        if self.detector == "py3langid":
            parts.append(f"py3langid:{package_version('py3langid')}")
        return "|".join([*parts, f"version:{self.version}"])

    def faults(self, base: Path) -> Iterator[tuple[str, str]]:
        """Where the detector is missing, or does not know the language."""
        if self.detector != "py3langid":
            return
        try:
            known = _identifier().labels
        except UsageError as error:
            yield "detector", str(error)
            return
        if self.language is not None and _base_code(self.language) not in known:
            near = suggestion(self.language, known) or f"; it knows: {', '.join(sorted(known))}"
            yield "language", f"language: py3langid does not know {self.language!r}{near}"

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        detect: Callable[[str], str] = _script if self.detector == "script" else detected_language
        found: list[float | None] = []
        for sample, response in zip(samples, responses, strict=True):
            expected = self._expected(sample, detect)
            if not expected:
                found.append(None)
            elif response.status in FAILED_STATES:
                found.append(0.0)
            else:
                text = answer_text(response)
                seen = detect(text)
                found.append(float(seen == expected or _only_one(expected, text)) if seen else None)
        return found

    def _expected(self, sample: Sample, detect: Callable[[str], str]) -> str:
        """What the detector must say of the answer; "" where that is not known."""
        if self.language is None and self.group is None:
            return detect("\n".join(golds(sample)))
        code = self.language if self.group is None else sample.groups.get(self.group, "")
        if not code:
            return ""
        try:
            return _script_of(code) if self.detector == "script" else _base_code(code)
        except UsageError as error:
            raise UsageError(f"sample {sample.id!r}: {error}") from error


def _only_one(language: str, text: str) -> bool:
    """Whether a text is in the script of this language, and of no other: of few signs detectors name rare relatives."""
    script = _SCRIPT_OF.get(language, "")
    return _LANGUAGES_OF.get(script, "").split() == [language] and _script(text) == script


def _script_of(language: str) -> str:
    code = language.strip().lower().replace("_", "-")
    script = _SCRIPT_OF.get(code) or _SCRIPT_OF.get(_base_code(code))
    if script is None:
        near = suggestion(code, _SCRIPT_OF) or "; use detector: py3langid"
        raise MetricOptionError(f"language: it is not known which script {language!r} is written in{near}")
    return script
