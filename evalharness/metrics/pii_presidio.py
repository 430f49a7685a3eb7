"""Personal data by Microsoft's presidio-analyzer: names, places and much else, with a spaCy model for the language.

Nothing is downloaded: presidio would fetch a model that is missing, and the list of top-level domains on first use.
"""

from __future__ import annotations

import importlib.util
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from evalharness.core.errors import MissingExtraError, UsageError

from .base import package_version
from .pii_patterns import Found

__all__ = ["check_presidio", "find_by_presidio", "presidio_types", "presidio_version"]

_PURPOSE = "the metric pii with engine: presidio"
_ANY_LANGUAGE = "xx"  # what spaCy calls models of many languages


def check_presidio(model: str, language: str) -> None:
    """Raise unless presidio-analyzer and a spaCy model of the language are installed.

    Raises:
        MissingExtraError: presidio-analyzer or spaCy is not installed.
        UsageError: the model is not, or reads another language.
    """
    for module, package in (("presidio_analyzer", "presidio-analyzer"), ("spacy", "spacy")):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(package, "pii", purpose=_PURPOSE)
    if not model.isidentifier() or importlib.util.find_spec(model) is None:
        raise UsageError(
            f"spacy_model: the spaCy model {model!r} is not installed, and metrics download nothing; install it: "
            f"python -m spacy download {model}, or name one that is"
        )
    reads = _language_of(model)
    if reads not in (None, language, _ANY_LANGUAGE):
        # Names would be looked for by another language's rules, and found in few answers.
        raise UsageError(
            f"language: the spaCy model {model!r} reads {reads!r}, not {language!r}; say language: {reads}, or name a "
            "model of that language (spacy_model)"
        )


def _language_of(model: str) -> str | None:
    """The language that a spaCy model says it reads; None where it says nothing."""
    spec = importlib.util.find_spec(model)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        try:
            meta = json.loads((Path(folder) / "meta.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(meta, dict) and isinstance(meta.get("lang"), str):
            return str(meta["lang"])
    return None


def presidio_version(model: str) -> str:
    """The versions of presidio-analyzer and of the spaCy model."""
    return f"{package_version('presidio-analyzer')}+{model}-{package_version(model)}"


def presidio_types(model: str, language: str) -> tuple[str, ...]:
    """The kinds that presidio can find in `language`, by its own names in lower case.

    Raises:
        UsageError: it cannot be started with the model.
    """
    return tuple(sorted(kind.lower() for kind in _engine(model, language).get_supported_entities(language)))


def find_by_presidio(text: str, *, model: str, language: str, threshold: float) -> list[Found]:
    """What presidio finds in `text` with a score of `threshold` or more, by its own names in lower case."""
    engine = _engine(model, language)
    found = engine.analyze(text=text, language=language, score_threshold=threshold)
    kept: list[Found] = []
    # Recognizers overlap (an e-mail address holds a URL): the surer one counts, of equals the longer.
    for item in sorted(found, key=lambda item: (-item.score, item.start - item.end, item.start, item.entity_type)):
        if all(item.end <= other.start or item.start >= other.end for other in kept):
            kept.append(Found(item.entity_type.lower(), item.start, item.end, text[item.start : item.end]))
    return sorted(kept, key=lambda item: item.start)


@lru_cache(maxsize=2)
def _engine(model: str, language: str) -> Any:
    import tldextract
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpEngineProvider
    from presidio_analyzer.predefined_recognizers import EmailRecognizer

    domains = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class OfflineEmailRecognizer(EmailRecognizer):  # type: ignore[misc]
        """Presidio's, with the list of domains that came with tldextract."""

        def validate_result(self, pattern_text: str) -> bool:
            return bool(domains(pattern_text).fqdn)

    try:
        configuration = {"nlp_engine_name": "spacy", "models": [{"lang_code": language, "model_name": model}]}
        nlp = NlpEngineProvider(nlp_configuration=configuration).create_engine()
        registry = RecognizerRegistry(supported_languages=[language])
        registry.load_predefined_recognizers(languages=[language], nlp_engine=nlp)
        registry.remove_recognizer("EmailRecognizer")
        registry.add_recognizer(OfflineEmailRecognizer(supported_language=language))
        return AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=[language])
    except (OSError, ValueError) as error:
        raise UsageError(f"engine: presidio cannot be started with the spaCy model {model!r}: {error}") from error
