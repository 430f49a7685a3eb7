from __future__ import annotations

import math

import pytest

from evalharness.core.errors import UsageError
from evalharness.core.registry import registry
from evalharness.core.types import Response, Sample
from evalharness.metrics.identity import IdentityMass, read_terms, terms_pattern


def answer(text, values, *, explained="yes", **more):
    """An answer with an explanation of `text`, one value a word."""
    tokens, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        tokens.append([word, start, at])
    found = {
        "text": text,
        "tokens": tokens,
        "outputs": ["no", "yes"],
        "explained": explained,
        "values": [[-value, value] for value in values],
        "base_values": [0.0, 0.0],
        "full_values": [-sum(values), sum(values)],
        **more,
    }
    return Response(key=text, meta={"explanation": found})


def value(metric, *responses):
    samples = [Sample(id=str(i), digest="", prompt="") for i in range(len(responses))]
    return float(metric.finalize(metric.sample_stats(samples, list(responses)).sum(axis=0)))


def test_quality_is_read_with_its_random_companion():
    quality = {"comprehensiveness": 0.5, "comprehensiveness_random": 0.125, "seed_stability": None}
    response = answer("a b", [1.0, 2.0], quality=quality, n_evaluations=7)
    load = registry("metrics").load
    assert value(load("comprehensiveness")(), response) == 0.5
    assert value(load("comprehensiveness_over_random")(), response) == 0.375
    assert math.isnan(value(load("seed_stability")(), response))
    assert math.isnan(value(load("sufficiency")(), response))
    assert value(load("explanation_evaluations")(), response) == 7
    assert math.isnan(value(load("comprehensiveness")(), answer("a b", [1.0, 2.0], quality=None)))
    assert math.isnan(value(load("comprehensiveness")(), Response(key="k")))


def test_efficiency_gap_is_what_the_values_leave_unexplained():
    metric = registry("metrics").load("efficiency_gap")()
    assert value(metric, answer("a b", [1.0, 2.0])) == 0.0
    assert value(metric, answer("a b", [1.0, 2.0], full_values=[0.0, 3.5])) == 0.5
    # The output that is explained, not the first one.
    assert value(metric, answer("a b", [1.0, 2.0], full_values=[9.0, 3.0])) == 0.0


def test_identity_mass_is_the_share_of_what_lies_on_terms():
    metric = IdentityMass(words=("She", "New York"))
    assert value(metric, answer("she left New York", [-3.0, 1.0, 1.0, 1.0])) == pytest.approx(5 / 6)
    # A word that only contains a term is none, and a text without terms is not measured.
    assert math.isnan(value(metric, answer("shed left", [3.0, 1.0])))
    assert value(metric, answer("SHE, left", [3.0, 1.0]), answer("it left", [1.0, 1.0])) == 0.75
    assert math.isnan(value(metric, answer("she", [0.0])))


def test_what_rounding_moves_of_a_sure_output_is_no_explanation():
    sure = {"base_values": [0.0, 1.0], "full_values": [0.0, 1.0]}
    metric = IdentityMass(words=("she",))
    assert math.isnan(value(metric, answer("she waits", [1e-8, 2e-8], **sure)))
    assert value(metric, answer("she waits", [1e-8, 2e-3], **sure)) == 0.0
    # Of a label that is hardly likely, as small a change is one.
    rare = {"base_values": [1.0, 1e-8], "full_values": [1.0, 4e-8]}
    assert value(metric, answer("she waits", [1e-8, 2e-8], **rare)) == pytest.approx(1 / 3)


def test_identity_mass_finds_chinese_terms_within_a_text():
    metric = IdentityMass(axes=("gender",))
    text = "这位女士很好"
    response = answer(text, [0.0])
    explanation = dict(response.meta["explanation"])
    explanation["tokens"] = [[sign, i, i + 1] for i, sign in enumerate(text)]
    explanation["values"] = [[0.0, 1.0] for _ in text]
    assert value(metric, Response(key="k", meta={"explanation": explanation})) == pytest.approx(2 / 6)


def test_identity_terms_from_a_file(tmp_path):
    (tmp_path / "terms.txt").write_text("plain # said of all\n[dialect]\ny'all\nfinna\n[dialect]\nain't\n")
    assert read_terms(tmp_path / "terms.txt", "terms.txt") == {"": ("plain",), "dialect": ("y'all", "finna", "ain't")}
    metric = IdentityMass(file="terms.txt", axes=("dialect",))
    assert not list(metric.faults(tmp_path))
    with pytest.raises(UsageError, match="not read yet"):
        value(metric, answer("y'all left", [1.0, 1.0]))
    read = metric.for_run(base=tmp_path)
    assert value(read, answer("y'all left plain", [1.0, 1.0, 2.0])) == 0.25
    assert value(metric.as_recorded(read.signature).for_run(base=tmp_path), answer("finna go", [1.0, 1.0])) == 0.5
    assert metric.as_recorded(read.signature).signature == read.signature != metric.signature


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"file": "none.txt"}, r"the file 'none.txt' cannot be read"),
        ({"file": "empty.txt"}, r"holds no term"),
        ({"file": "some.txt", "axes": ("agge",)}, r"the file 'some.txt' has no 'agge'; did you mean 'age'"),
    ],
)
def test_faults_of_a_file_are_told_where_they_stand(tmp_path, options, said):
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "some.txt").write_text("[age]\nold\n")
    ((option, message),) = IdentityMass(**options).faults(tmp_path)
    assert option == ("axes" if "axes" in options else "file")
    import re

    assert re.search(said, message)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"words": ("a",), "file": "b"}, "not both"),
        ({"words": ("a",), "axes": ("age",)}, "axes are those of a file"),
        ({"words": (" ",)}, "must not be blank"),
        ({"axes": ("gendre",)}, "did you mean 'gender'"),
    ],
)
def test_wrong_options_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        IdentityMass(**options)


def test_the_longest_term_is_taken():
    pattern = terms_pattern(("new", "new york", "女人", "女"))
    assert [match[0] for match in pattern.finditer("A New York woman, 女人")] == ["New York", "女人"]
