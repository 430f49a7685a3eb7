"""Corpus BLEU as sacrebleu computes it, from additive statistics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from evalharness.core.errors import MissingExtraError, UsageError
from evalharness.core.protocols import Array
from evalharness.core.types import Response, Sample
from evalharness.stats.arrays import np
from evalharness.stats.ngrams import matched_ngrams

from .base import BOOTSTRAP, BaseMetric, answer_text, check_batch, golds, package_version, require
from .text import Vocabulary, tokenize_13a, unspaced_script

__all__ = ["Bleu", "closest_length", "ngram_totals"]

_TOKENIZERS = {
    "intl": "tokenizer_intl:TokenizerV14International",
    "zh": "tokenizer_zh:TokenizerZh",
    "char": "tokenizer_char:TokenizerChar",
    "none": "tokenizer_none:NoneTokenizer",
    "ja-mecab": "tokenizer_ja_mecab:TokenizerJaMecab",
    "ko-mecab": "tokenizer_ko_mecab:TokenizerKoMecab",
    "flores101": "tokenizer_spm:Flores101Tokenizer",
    "flores200": "tokenizer_spm:Flores200Tokenizer",
    "spBLEU-1K": "tokenizer_spm:spBLEU1KTokenizer",
}
_MECAB = ("ja-mecab", "ko-mecab")
_PIECES = ("flores101", "flores200", "spBLEU-1K")
_PACKAGES = {"ja-mecab": "mecab-python3", "ko-mecab": "mecab-ko"} | dict.fromkeys(_PIECES, "sentencepiece")
_AUTO = {"": "13a", "han": "zh", "other": "char"}
_SMOOTH_VALUES = {"floor": 0.1, "add-k": 1.0}
_LOG_ZERO = -9999999999.0  # what sacrebleu takes for log(0)


@cache
def _tokenizer(name: str) -> Callable[[str], str]:
    module, _, attribute = _TOKENIZERS[name].partition(":")
    try:
        _check_pieces(name)
        made: Callable[[str], str] = getattr(import_module(f"sacrebleu.tokenizers.{module}"), attribute)()
    except (ImportError, RuntimeError) as error:
        raise MissingExtraError(_PACKAGES[name], "bleu", purpose=f"bleu with tokenize: {name}") from error
    return made


def _check_pieces(name: str) -> None:
    """Raise where the model of a sentencepiece tokenizer is not there: sacrebleu would download it in mid-run."""
    if name not in _PIECES:
        return
    import sentencepiece  # noqa: F401
    from sacrebleu.tokenizers import tokenizer_spm

    url: str = tokenizer_spm.SPM_MODELS[name]["url"]
    path = Path(tokenizer_spm.SACREBLEU_DIR) / "models" / url.rpartition("/")[2]
    if not path.is_file():
        raise UsageError(
            f"bleu with tokenize: {name} needs sacrebleu's sentencepiece model, and {path} is not there; download it "
            f"from {url} to that place"
        )


def closest_length(length: int, references: Sequence[int]) -> int:
    """The reference length nearest to `length`, the shorter of two that are equally near."""
    return min(references, key=lambda r: (abs(r - length), r))


def ngram_totals(lengths: Sequence[int], max_order: int) -> Array:
    """(n, max_order): how many n-grams of each order texts of these lengths hold."""
    counts: Array = np.maximum(np.asarray(lengths)[:, None] - np.arange(max_order)[None, :], 0).astype(np.float64)
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Bleu(BaseMetric):
    """Corpus BLEU, 0–100: the geometric mean of clipped n-gram precisions, times a brevity penalty.

        BLEU = BP · exp(Σ_n ln p_n / 4),  BP = exp(1 − r/c) where c < r, else 1

    with c the length of all answers and r that of the references nearest in length. The value of a single sample uses
    only the orders that it is long enough for (effective order), so that a short perfect answer gets 100, not 0.

    Options:
        tokenize: auto takes 13a, but zh for a sample whose references are mostly Chinese, and char for Japanese, Thai
            and other scripts without spaces, where 13a would give 0 to identical texts. ja-mecab, ko-mecab,
            flores101 (sacrebleu's spm), flores200 and spBLEU-1K need packages of their own, and the last three a file
            that sacrebleu downloads; `validate` says what is missing.
        smooth: how precisions of 0 are treated: exp (halved once more for each), floor, add-k or none.
        smooth_value: the value of floor (default 0.1) or add-k (default 1).
        lowercase: ignore case.
        max_order: the longest n-gram.
        effective_order: only orders that the corpus is long enough for, also in the corpus figure.

    Source: Papineni et al. 2002 (ACL P02-1040), Post 2018 (W18-6319); equal to sacrebleu `corpus_bleu` with the same
    options to 1e-8.
    """

    tokenize: Literal[
        "auto", "13a", "intl", "zh", "char", "none", "ja-mecab", "ko-mecab", "flores101", "flores200", "spBLEU-1K"
    ] = "auto"
    smooth: Literal["exp", "floor", "add-k", "none"] = "exp"
    smooth_value: float | None = None
    lowercase: bool = False
    max_order: int = 4
    effective_order: bool = False

    name = "bleu"
    bounds = (0.0, 100.0)
    interval = BOOTSTRAP
    agrees_with = "sacrebleu"

    def __post_init__(self) -> None:
        require(1 <= self.max_order <= 9, f"max_order must be 1 to 9; got {self.max_order}")
        if self.smooth_value is not None:
            require(
                self.smooth in _SMOOTH_VALUES,
                f"smooth_value has no effect with smooth: {self.smooth}; give it with floor or add-k",
            )
            require(
                math.isfinite(self.smooth_value) and self.smooth_value > 0,
                f"smooth_value must be above 0; got {self.smooth_value}",
            )

    @property
    def signature(self) -> str:
        """In sacrebleu's form; `tok:auto` names the choice that is made for each sample by the script of its gold."""
        smooth = self.smooth if self._smooth_value is None else f"{self.smooth}[{self._smooth_value:.2f}]"
        tokenizer = "auto[13a;zh:chinese;char:unspaced]" if self.tokenize == "auto" else self._named_tokenizer()
        parts = [
            "bleu",
            "nrefs:var",
            f"case:{'lc' if self.lowercase else 'mixed'}",
            f"eff:{'yes' if self.effective_order else 'no'}",
            f"tok:{tokenizer}",
            f"smooth:{smooth}",
            *([f"order:{self.max_order}"] if self.max_order != 4 else []),
            f"version:{package_version('sacrebleu')}",
        ]
        return "|".join(parts)

    def _named_tokenizer(self) -> str:
        if self.tokenize not in _MECAB:
            return self.tokenize
        try:
            made: Any = _tokenizer(self.tokenize)
        except MissingExtraError:
            return f"{self.tokenize}-not-installed"
        named: str = made.signature()  # with the version of MeCab, on which its words depend
        return named

    def faults(self, base: Path) -> Iterator[tuple[str, str]]:
        """Where the tokenizer lacks a package or a file."""
        if self.tokenize in _PACKAGES:
            try:
                _tokenizer(self.tokenize)
            except UsageError as error:
                yield "tokenize", str(error)

    @property
    def _smooth_value(self) -> float | None:
        return _SMOOTH_VALUES.get(self.smooth) if self.smooth_value is None else self.smooth_value

    @property
    def columns(self) -> tuple[str, ...]:
        orders = range(1, self.max_order + 1)
        return (
            "n",
            "answer_length",
            "reference_length",
            *(f"matches_{n}" for n in orders),
            *(f"ngrams_{n}" for n in orders),
        )

    def sample_stats(self, samples: Sequence[Sample], responses: Sequence[Response]) -> Array:
        check_batch(samples, responses)
        stats = np.zeros((len(samples), len(self.columns)))
        number = Vocabulary()
        rows, answers, references = [], [], []
        for row, (sample, response) in enumerate(zip(samples, responses, strict=True)):
            if golds(sample):
                words = partial(self._words, self._tokenizer_name(golds(sample)))
                rows.append(row)
                answers.append(number(words(answer_text(response))))
                references.append([number(words(gold)) for gold in golds(sample)])
        if not rows:
            return stats
        lengths = [len(answer) for answer in answers]
        stats[rows, 0] = 1.0
        stats[rows, 1] = lengths
        stats[rows, 2] = [
            closest_length(n, [len(r) for r in refs]) for n, refs in zip(lengths, references, strict=True)
        ]
        stats[rows, 3 : 3 + self.max_order] = matched_ngrams(answers, references, max_order=self.max_order)
        stats[rows, 3 + self.max_order :] = ngram_totals(lengths, self.max_order)
        return stats

    def _tokenizer_name(self, references: Sequence[str]) -> str:
        return _AUTO[unspaced_script(references)] if self.tokenize == "auto" else self.tokenize

    def _words(self, tokenizer: str, text: str) -> list[str]:
        text = text.lower() if self.lowercase else text
        text = text.rstrip()
        return tokenize_13a(text) if tokenizer == "13a" else _tokenizer(tokenizer)(text).split()

    def finalize(self, totals: Array) -> Array:
        return self._score(totals, effective_order=self.effective_order)

    def finalize_samples(self, stats: Array) -> Array:
        """(n,) sentence BLEU of each row, with effective order."""
        return self._score(stats, effective_order=True)

    def _score(self, totals: Array, *, effective_order: bool) -> Array:
        totals = np.asarray(totals, dtype=np.float64)
        n, answer_length, reference_length = (totals[..., i] for i in range(3))
        matches = totals[..., 3 : 3 + self.max_order]
        ngrams = totals[..., 3 + self.max_order :]
        any_match = matches.any(axis=-1)
        value = self._smooth_value or 0.0
        if self.smooth == "add-k":
            longer = np.arange(self.max_order) > 0
            matches, ngrams = matches + value * longer, ngrams + value * longer
        # Orders after the first one without n-grams are not reached.
        reached = np.cumprod(ngrams > 0, axis=-1).astype(bool)
        missing = reached & (matches == 0)
        safe = np.where(ngrams > 0, ngrams, 1.0)
        precision = np.where(reached, matches / safe, 0.0)
        if self.smooth == "exp":
            precision = np.where(missing, 0.5 ** np.cumsum(missing, axis=-1) / safe, precision)
        elif self.smooth == "floor":
            precision = np.where(missing, value / safe, precision)
        positive = precision > 0
        logs = np.where(positive, np.log(np.where(positive, 100.0 * precision, 1.0)), _LOG_ZERO)
        orders = reached if effective_order else np.ones_like(reached)
        mean_log = np.where(orders, logs, 0.0).sum(axis=-1) / np.maximum(orders.sum(axis=-1), 1)
        shorter = answer_length < reference_length
        some = np.where(answer_length > 0, answer_length, 1.0)
        penalty = np.where(shorter, np.where(answer_length > 0, np.exp(1 - reference_length / some), 0.0), 1.0)
        score = np.where(any_match, penalty * np.exp(mean_log), 0.0)
        return np.where(n > 0, np.minimum(score, 100.0), np.nan)
