from __future__ import annotations

import difflib
import random

import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Message, Response, Sample
from evalharness.metrics.verbatim import VerbatimOverlap

TEXT = """Once upon a midnight the miller's youngest daughter carried four copper kettles across the frozen bridge,
and nobody in the village could afterwards explain where the fifth kettle had been hidden or by whom."""


def values(metric, answers, prompt="Write on.", references=()):
    samples = [Sample(id=str(i), digest="", prompt=prompt, references=references) for i in range(len(answers))]
    responses = [Response(key=str(i), status="truncated", text=answer) for i, answer in enumerate(answers)]
    return metric.values(samples, responses)


@pytest.fixture
def text(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path


def metric(base, **options):
    return VerbatimOverlap(text="text.txt", **options).for_run(base=base)


def test_longest_run_of_words(text):
    mean = metric(text, measure="mean")
    assert values(mean, ["the MILLER'S youngest, daughter sang", "", "a b", TEXT]) == [5, 0, 1, 35]
    assert values(metric(text, least=5), ["the miller's youngest daughter sang", "youngest daughter"]) == [1, 0]


def test_longest_run_of_characters(text):
    found = values(metric(text, measure="mean", unit="characters"), ["X the   frozen\nbridge, Y"])
    assert found == [len(" the frozen bridge, ")]


def test_equals_difflib_on_random_texts(tmp_path):
    draw = random.Random(0)
    words = [draw.choice("abcdef") for _ in range(400)]
    (tmp_path / "text.txt").write_text(" ".join(words))
    answers = [[draw.choice("abcdefg") for _ in range(60)] for _ in range(20)]
    found = values(metric(tmp_path, measure="mean"), [" ".join(answer) for answer in answers], prompt="")
    for answer, run in zip(answers, found, strict=True):
        match = difflib.SequenceMatcher(None, answer, words, autojunk=False).find_longest_match()
        assert run == match.size


def test_what_the_prompt_holds_is_no_memory(text):
    begun = "Once upon a midnight the miller's youngest daughter carried"
    mean = metric(text, measure="mean")
    assert values(mean, [f"{begun} four copper kettles"], prompt=begun) == [3]
    assert values(mean, [f"{begun} four copper kettles"], prompt=(Message("user", begun),)) == [3]
    # Four words are anybody's: they stay part of the run.
    assert values(mean, ["carried four copper kettles across the frozen bridge"], prompt="carried four copper") == [8]
    assert values(mean, [begun], prompt=begun) == [0]


def test_against_references(text):
    anywhere = VerbatimOverlap(measure="mean")
    assert values(anywhere, ["x one two three y"], references=("zero one two three four", "one")) == [3]
    start = VerbatimOverlap(measure="mean", where="start")
    references = ("one two three four", "uno")
    answers = ["One, two! three five", "zero one two", "", "one two three four five"]
    assert values(start, answers, references=references) == [3, 0, 0, 4]
    assert values(start, ["one"]) == [None]
    assert values(VerbatimOverlap(where="start", least=4), ["one two three four"], references=references) == [1]


def test_failed_answers_are_not_measured(text):
    sample = Sample(id="a", digest="", prompt="p")
    assert metric(text).values([sample], [Response(key="a", status="error")]) == [None]


def test_the_text_is_part_of_the_signature(text):
    first = metric(text)
    (text / "text.txt").write_text(f"{TEXT} More.")
    second = metric(text)
    assert first.signature != second.signature
    recorded = VerbatimOverlap(text="moved.txt").as_recorded(first.signature)
    assert recorded.signature == first.signature


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("none.txt", None, "No such file"), ("empty.txt", b" \n", "is empty"), ("bytes.txt", b"\xff\xfe\xfa", "UTF-8")],
)
def test_files_that_cannot_be_read(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    ((option, message),) = VerbatimOverlap(text=name).faults(tmp_path)
    assert option == "text"
    assert said in message
    with pytest.raises(UsageError, match=name):
        VerbatimOverlap(text=name).for_run(base=tmp_path)


def test_wrong_options():
    with pytest.raises(ValueError, match="least"):
        VerbatimOverlap(least=0)
    with pytest.raises(ValueError, match="where: start"):
        VerbatimOverlap(text="x", where="start")
    with pytest.raises(UsageError, match="not read yet"):
        values(VerbatimOverlap(text="x"), ["a"])
