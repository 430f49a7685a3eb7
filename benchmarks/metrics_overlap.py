"""Overlap metrics and the bootstrap beside rouge-score, sacrebleu and nltk, on the same texts in the same process.

    python benchmarks/metrics_overlap.py [--pairs 5000] [--words 60] [--rounds 3] [--replicates 5] [--write]

The texts are drawn with a seed from a vocabulary with word frequencies like those of English (Zipf); an answer keeps
seven of ten words of its reference. Contenders take turns and the fastest round of each counts, since only the slower
ones were disturbed. Our metrics are asked for all at once, as a task asks for them: each text is tokenised once. The
figures are compared as well: what is faster and different is of no use. sacrebleu's TER takes so long that it gets a
tenth of the pairs. Without --write the table is only printed.
"""

from __future__ import annotations

import argparse
import os
import random
import time
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from _table import machine, markdown_table, replace_section

from evalharness.core.types import Response, Sample
from evalharness.metrics import rouge as rouge_module
from evalharness.metrics.base import BaseMetric
from evalharness.metrics.bleu import Bleu
from evalharness.metrics.chrf import Chrf
from evalharness.metrics.edits import Cer, Wer
from evalharness.metrics.gleu import Gleu
from evalharness.metrics.interval import summarize
from evalharness.metrics.nltk_bleu import NltkBleu
from evalharness.metrics.rouge import Rouge1, Rouge2, RougeL, RougeLsum
from evalharness.metrics.ter import Ter

ROUGES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


class Corpus(NamedTuple):
    """Answers and references, as texts and as samples."""

    answers: list[str]
    references: list[str]
    samples: list[Sample]
    responses: list[Response]


class Row(NamedTuple):
    """One comparison."""

    work: str
    peer: str
    theirs_s: float
    ours_s: float
    difference: float


def make_corpus(pairs: int, words: int) -> Corpus:
    rng = random.Random(20261121)
    letters = "etaoinshrdlucmfwypvbgk"
    endings = ["", "", "", "s", "ing", "ed", "ly", "ation"]
    vocabulary = ["".join(rng.choices(letters, k=rng.randint(1, 7))) + rng.choice(endings) for _ in range(20_000)]
    weights = [1 / (rank + 2) for rank in range(len(vocabulary))]

    def text(tokens: Sequence[str]) -> str:
        lines = [tokens[i : i + 20] for i in range(0, len(tokens), 20)]
        return "\n".join(" ".join(line).capitalize() + "." for line in lines)

    answers, references = [], []
    for _ in range(pairs):
        gold = rng.choices(vocabulary, weights, k=rng.randint(words - words // 6, words + words // 6))
        noise = rng.choices(vocabulary, weights, k=len(gold))
        answers.append(text([g if rng.random() < 0.7 else n for g, n in zip(gold, noise, strict=True)]))
        references.append(text(gold))
    samples = [Sample(id=str(i), digest="", prompt="", references=(r,)) for i, r in enumerate(references)]
    return Corpus(answers, references, samples, [Response(key=str(i), text=a) for i, a in enumerate(answers)])


def fastest(rounds: int, *works: Callable[[], object]) -> list[tuple[float, object]]:
    """(seconds, result) of each work, the fastest of `rounds` in which they take turns."""
    best: list[tuple[float, object]] = [(float("inf"), None)] * len(works)
    for _ in range(rounds):
        for i, work in enumerate(works):
            start = time.perf_counter()
            result = work()
            seconds = time.perf_counter() - start
            if seconds < best[i][0]:
                best[i] = (seconds, result)
    return best


def _forget() -> None:
    """Empty our memory of tokenised texts, so that every round pays for its own tokenising."""
    rouge_module._tokens = rouge_module.TextCache(rouge_module._tokenize)


def rouge(corpus: Corpus, rounds: int, *, stemmer: bool, names: Sequence[str]) -> Row:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(names), use_stemmer=stemmer)
    metrics = [c(stemmer=stemmer) for c in (Rouge1, Rouge2, RougeL, RougeLsum) if c.name in names]

    def theirs() -> np.ndarray:
        scores = [scorer.score(r, a) for r, a in zip(corpus.references, corpus.answers, strict=True)]
        return np.array([[s[n].fmeasure for n in names] for s in scores])

    def ours() -> np.ndarray:
        _forget()
        return np.stack([m.sample_stats(corpus.samples, corpus.responses)[:, 1] for m in metrics], axis=1)

    (a, x), (b, y) = fastest(rounds, theirs, ours)
    work = f"{', '.join(n.removeprefix('rouge') for n in names)}{', stemmer' if stemmer else ''}"
    return Row(f"ROUGE-{work}", "rouge-score", a, b, float(np.abs(x - y).max()))


def forget_theirs() -> None:
    """Empty sacrebleu's memory of texts: without this only its first round would tokenise."""
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
    from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp
    from sacrebleu.tokenizers.tokenizer_ter import TercomTokenizer

    for cached in (Tokenizer13a.__call__, TokenizerRegexp.__call__, TercomTokenizer.__call__):
        cached.cache_clear()


def corpus_metrics(corpus: Corpus, rounds: int) -> list[Row]:
    import jiwer
    import sacrebleu
    from nltk.translate.bleu_score import corpus_bleu
    from nltk.translate.gleu_score import corpus_gleu

    def figure(metric: BaseMetric, given: Corpus = corpus) -> float:
        return float(metric.finalize(metric.sample_stats(given.samples, given.responses).sum(axis=0)))

    def sacre(metric: sacrebleu.metrics.base.Metric, given: Corpus = corpus) -> float:
        forget_theirs()
        return float(metric.corpus_score(given.answers, [given.references]).score)

    tokens = [a.split() for a in corpus.answers]
    gold = [[r.split()] for r in corpus.references]
    lines = corpus._replace(
        answers=[" ".join(a) for a in tokens], references=[" ".join(r[0]) for r in gold]
    )  # jiwer splits at blanks alone
    few = Corpus(*(part[: max(len(part) // 10, 1)] for part in corpus))
    nltk_metric = NltkBleu()
    rows = []
    for work, peer, theirs, mine in (
        (
            "corpus BLEU",
            "sacrebleu",
            lambda: sacre(sacrebleu.BLEU(tokenize="13a")),
            lambda: figure(Bleu(tokenize="13a")),
        ),
        ("corpus chrF", "sacrebleu", lambda: sacre(sacrebleu.CHRF()), lambda: figure(Chrf())),
        ("corpus chrF++", "sacrebleu", lambda: sacre(sacrebleu.CHRF(word_order=2)), lambda: figure(Chrf(word_order=2))),
        (
            f"corpus TER, {len(few.answers)} pairs",
            "sacrebleu",
            lambda: sacre(sacrebleu.TER(), few),
            lambda: figure(Ter(), few),
        ),
        (
            "corpus BLEU of tokens",
            "nltk",
            lambda: corpus_bleu(gold, tokens),
            lambda: float(nltk_metric.finalize(nltk_metric.token_stats(gold, tokens).sum(axis=0))),
        ),
        ("corpus GLEU", "nltk", lambda: corpus_gleu(gold, tokens), lambda: figure(Gleu())),
        ("WER", "jiwer", lambda: jiwer.wer(lines.references, lines.answers), lambda: figure(Wer())),
        ("CER", "jiwer", lambda: jiwer.cer(corpus.references, corpus.answers), lambda: figure(Cer())),
    ):
        (a, x), (b, y) = fastest(rounds, theirs, mine)
        rows.append(Row(work, peer, a, b, abs(float(x) - float(y))))
    return rows


def bootstrap(corpus: Corpus, rounds: int, replicates: int) -> list[list[object]]:
    """Seconds for the figure of corpus BLEU with its interval from 1,000 resamples, counting included.

    lm-eval computes the corpus figure anew on each resample (`bootstrap_stderr` over its `bleu`). Some replicates are
    timed, one after the other in one process, so that sacrebleu remembers texts as it does there; 1,000 times their
    mean is what all would take. lm-eval spreads them over the processor's cores.
    """
    import sacrebleu

    metric = Bleu(tokenize="13a")

    def ours() -> object:
        return summarize(metric, metric.sample_stats(corpus.samples, corpus.responses), n_resamples=1000)

    def theirs() -> object:
        forget_theirs()
        score = sacrebleu.BLEU(tokenize="13a").corpus_score(corpus.answers, [corpus.references], n_bootstrap=1000)
        return score._mean, score._ci

    rng = random.Random(20261122)
    items = list(zip(corpus.references, corpus.answers, strict=True))
    drawn = [rng.choices(items, k=len(items)) for _ in range(replicates)]

    def replicate_each() -> list[float]:
        return [sacrebleu.corpus_bleu([a for _, a in each], [[r for r, _ in each]]).score for each in drawn]

    (b, found), (a, pair), (some, figures) = fastest(rounds, ours, theirs, replicate_each)
    each = some / replicates
    mean, half = pair
    return [
        [
            f"lm-eval's way: {each:.2f} s a replicate, timed on {replicates}",
            f"{1000 * each:,.0f} s",
            f"{1000 * each / b:,.0f}×",
            f"replicates from {min(figures):.3f} to {max(figures):.3f}",
        ],
        ["sacrebleu `n_bootstrap`", f"{a:.2f} s", f"{a / b:.1f}×", f"{mean:.3f} ± {half:.3f} (percentiles)"],
        [
            "evalharness, BCa",
            f"{b:.2f} s",
            "",
            f"{found.value:.3f}, {found.low:.3f} to {found.high:.3f}",
        ],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--words", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--replicates", type=int, default=5, help="how many of lm-eval's replicates are timed")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    load = os.getloadavg()[0]
    corpus = make_corpus(args.pairs, args.words)
    small = make_corpus(20, args.words)
    # Imports, compiled patterns and the stems of a warm process are nobody's merit.
    rouge(small, 1, stemmer=True, names=ROUGES)
    corpus_metrics(small, 1)
    bootstrap(small, 1, 1)
    rows = [
        rouge(corpus, args.rounds, stemmer=True, names=ROUGES[:3]),
        rouge(corpus, args.rounds, stemmer=False, names=ROUGES[:3]),
        rouge(corpus, args.rounds, stemmer=True, names=ROUGES),
        rouge(corpus, args.rounds, stemmer=False, names=ROUGES[3:]),
        *corpus_metrics(corpus, args.rounds),
    ]
    table = markdown_table(
        ["work", "peer", "peer's time", "ours", "ratio", "largest difference"],
        [
            [
                r.work,
                r.peer,
                f"{r.theirs_s:.2f} s",
                f"{r.ours_s:.2f} s",
                f"{r.theirs_s / r.ours_s:.1f}×",
                f"{r.difference:.1g}",
            ]
            for r in rows
        ],
    )
    intervals = markdown_table(
        ["corpus BLEU with the interval of 1,000 resamples", "time", "of ours", "figure"],
        bootstrap(corpus, args.rounds, args.replicates),
    )
    text = (
        "## Overlap metrics\n\n"
        f"`python benchmarks/metrics_overlap.py`: {args.pairs:,} pairs of about {args.words} words, one process; "
        f"fastest of {args.rounds} alternating rounds, tokenising included. {machine()}; load average {load:.1f} when "
        f"it began.\n\n{table}\n\n"
        f"The figure with its interval, tokenising and counting included in all three:\n\n{intervals}"
    )
    print(text)
    if args.write:
        replace_section("metrics_overlap", text)


if __name__ == "__main__":
    main()
