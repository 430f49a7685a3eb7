from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import settings

from evalharness.core.types import LogLikelihood, Response, Sample

# The first example pays for imports: a deadline would blame the code for them.
settings.register_profile("metrics", deadline=None, max_examples=40)
settings.load_profile("metrics")

LABELS = ("negative", "neutral", "positive")


def make_pairs(answers: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[list[Sample], list[Response]]:
    samples = [Sample(id=str(i), digest="", prompt="", references=tuple(r)) for i, r in enumerate(references)]
    return samples, [Response(key=str(i), text=answer) for i, answer in enumerate(answers)]


def make_labelled(golds: Sequence[str | None], answers: Sequence[str | None]) -> tuple[list[Sample], list[Response]]:
    samples = [Sample(id=str(i), digest="", prompt="", target=gold) for i, gold in enumerate(golds)]
    responses = [
        Response(key=str(i), status="unparsed" if a is None else "ok", text="…", answer=a)
        for i, a in enumerate(answers)
    ]
    return samples, responses


@pytest.fixture(name="make_pairs", scope="session")
def _make_pairs():
    return make_pairs


@pytest.fixture(name="make_labelled", scope="session")
def _make_labelled():
    return make_labelled


@pytest.fixture(scope="session")
def labels():
    return LABELS


@pytest.fixture(scope="session")
def figure():
    """The figure of a metric over samples and responses."""

    def compute(metric, samples, responses):
        return float(metric.finalize(metric.sample_stats(samples, responses).sum(axis=0)))

    return compute


TEXTS = [
    ("the cat sat on the mat .", "the cat is sitting on a mat ."),
    ("Running studies, quickly!", "He ran quickly through studies."),
    ("", "an answer was expected"),
    ("a", "the"),
    ("naïve café 3.14", "naive café 3.14"),
    ("北京是中国的首都。", "中国的首都是北京。"),
    ("Привет, мир", "Привет мир"),
    ("line one\nline two. More!", "line one\nline three. More?"),
    ("👍🏽 ok", "ok 👍🏽"),
    ("the cat sat on the mat .", "the cat sat on the mat ."),
    ("positive", "negative"),
    (" ".join(f"w{i % 13}" for i in range(80)), " ".join(f"w{i % 11}" for i in range(90))),
]


def judged(i):
    """What a judge said of answer i; of one nothing that can be read, of another that it is in between."""
    value = None if i == 9 else 0.5 if i == 10 else float(i % 3 > 0)
    verdict = {"model": "judge", "repeat": 0, "order": None, "value": value, "label": None, "key": f"j{i}"}
    verdict |= {"status": "judge_failed" if value is None else "ok", "reason": None}
    return {"judged": {"llm_judge": {"value": value, "label": None, "verdicts": [verdict]}}}


def explained(i):
    """An explanation of a text in which one word of two is an identity term; one has no quality."""
    share = (1 + i % 4) / 8
    names = ("comprehensiveness", "sufficiency", "deletion_auc", "insertion_auc")
    quality = {name: share - 0.1 * place for place, name in enumerate(names)}
    quality |= {f"{name}_random": 0.3 - share for name in names} | {
        "seed_stability": 1 - share,
        "seed_stability_random": 0.02 * i,
    }
    quality |= {"randomisation_similarity": share - 0.2, "randomisation_similarity_random": 0.01 * i}
    quality |= {"randomisation_similarity_absolute": abs(share - 0.2), "randomisation_similarity_absolute_random": 0.1}
    return {
        "explanation": {
            "text": "she waits",
            "tokens": [["she", 0, 3], ["waits", 4, 9]],
            "outputs": ["no", "yes"],
            "explained": "yes",
            "values": [[0.0, share], [0.0, -0.25]],
            "base_values": [0.5, 0.5],
            "full_values": [0.5, 0.25 + share],
            "n_evaluations": 4 + i,
            "quality": None if i == 11 else quality,
        }
    }


def attacked(i):
    """What a search found on text i: one of three was wrong before, and every other one of the rest is turned round."""
    right, succeeded = i % 3 > 0, i % 3 > 0 and i % 2 > 0
    return {
        "attack": {
            "right": right,
            "succeeded": succeeded,
            "n_queries": 1 + i if right else 1,
            "share_changed": (1 + i % 3) / 8 if succeeded else 0.0,
        }
    }


def probabilities(i):
    """What a classifier says of text i; of one it knows only another label."""
    if i == 7:
        return {"no such label": 1.0}
    shares = [1 + (i * 3) % 5, 1 + (i * 11) % 7, 2]
    return {label: share / sum(shares) for label, share in zip(LABELS, shares, strict=True)}


@pytest.fixture(scope="session")
def batch():
    """(samples, responses) of every kind of answer that any metric may meet, measured and not."""
    samples, responses = [], []
    statuses = ("ok", "ok", "refusal", "truncated", "unparsed", "ok")
    for i, (text, gold) in enumerate(TEXTS * 2):
        references = (gold,) if i % 3 else (gold, text.upper(), "another reference")
        samples.append(
            Sample(
                id=f"s{i}",
                digest=f"d{i}",
                prompt=f"{gold} {gold}",
                references=() if i == 20 else references,
                target=None if i == 21 else LABELS[(i * 7) % 3] if i != 22 else "no such label",
                choices=LABELS,
                groups={"half": "ab"[i % 2]},
                fields={
                    "target": LABELS[i % 2],
                    "context_condition": ("ambig", "disambig")[i % 2],
                    "unknown": ["positive"],
                    "biased": LABELS[i // 4 % 2],
                    "stereotype": ("pro", "anti")[i // 2 % 2],
                },
            )
        )
        status = statuses[i % 6]
        responses.append(
            Response(
                key=f"k{i}",
                status=status,
                text=text,
                answer=None if status == "unparsed" else (*LABELS, "nonsense")[(i * 5) % 4] if i % 2 else text,
                loglikelihoods=tuple(LogLikelihood(-c * i - 1, 7 + j) for j, c in enumerate((3.5, 3.4, 3.6))),
                label_probabilities=probabilities(i) if i % 2 else {},
                latency_s=0.1 + i / 7 if i != 6 else None,
                created_utc=f"2026-01-01T00:00:{i:02}.125+00:00" if i != 9 else "",
                input_tokens=i,
                output_tokens=i % 5 if i != 7 else None,
                meta={"cost_usd": i / 1000, "ttft_s": 0.05 + i / 9, **judged(i), **explained(i), **attacked(i)}
                | {"unconditional": [-3.0 - i % 5, -4.0, -5.0]}
                if i != 8
                else {},
            )
        )
    responses[5] = replace(responses[5], loglikelihoods=(), label_probabilities={})
    return samples, responses


_PARTS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
_SYNSETS = [
    ("noun", ["car", "auto", "automobile", "motor_car"]),
    ("noun", ["car", "railcar"]),
    ("noun", ["wolf"]),
    ("noun", ["city", "metropolis", "Berlin"]),
    ("noun", ["box", "loge"]),
    ("verb", ["go", "travel", "move"]),
    ("verb", ["obey", "heed"]),
    ("verb", ["box"]),
    ("adj", ["big", "large(a)"]),
    ("adj", ["fast(p)", "quick"]),
    ("adv", ["fast", "quickly"]),
]
_EXCEPTIONS = {"verb": ["went go", "gone go"], "noun": ["wolves wolf"], "adj": [], "adv": []}
_LICENCE = "  1 This software and database is provided under the licence. WordNet 3.0 Copyright 2006 by Princeton.  \n"


def _wordnet(folder):
    """A WordNet of a few synsets in `folder`, with the files that only nltk's reader opens."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, letter in _PARTS.items():
        data, index = _LICENCE, {}
        for kind, lemmas in _SYNSETS:
            if kind != part:
                continue
            offset = len(data.encode())
            words = " ".join(f"{lemma} 0" for lemma in lemmas)
            frames = " 01 + 02 00" if part == "verb" else ""
            data += f"{offset:08d} 03 {letter} {len(lemmas):02x} {words} 000{frames} | a meaning  \n"
            for lemma in lemmas:
                index.setdefault(lemma.partition("(")[0].lower(), []).append(offset)
        lines = "".join(
            f"{lemma} {letter} {len(offsets)} 0 {len(offsets)} 0 {' '.join(f'{o:08d}' for o in offsets)}  \n"
            for lemma, offsets in sorted(index.items())
        )
        (folder / f"data.{part}").write_text(data)
        (folder / f"index.{part}").write_text(_LICENCE + lines)
        (folder / f"{part}.exc").write_text("".join(f"{line}\n" for line in _EXCEPTIONS[part]))
    (folder / "lexnames").write_text("".join(f"{i:02d}\tname{i}\t1\n" for i in range(45)))
    (folder / "index.sense").write_text("")
    (folder / "cntlist.rev").write_text("")
    return folder


@pytest.fixture(scope="session")
def make_wordnet():
    return _wordnet


@pytest.fixture(scope="session")
def wordnet_folder(tmp_path_factory):
    return _wordnet(tmp_path_factory.mktemp("data") / "corpora" / "wordnet")


@pytest.fixture(scope="session")
def nltk_wordnet(wordnet_folder):
    """nltk's own reader of the same files."""
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class Reader(WordNetCorpusReader):
        def map_wn(self, version="wordnet"):  # would look for a second WordNet
            return None

    from nltk import data

    data.path.append(str(wordnet_folder))  # nltk reads no other folders
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Reader(str(wordnet_folder), None)
    yield made
    data.path.remove(str(wordnet_folder))
