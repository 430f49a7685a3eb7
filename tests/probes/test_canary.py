from __future__ import annotations

import math

import pytest

from evalharness.core.errors import UsageError
from evalharness.probes.canary import Canary

FORMAT = "The access code of the archive is {}."


def test_alternatives_have_the_form_of_the_secret(tmp_path):
    (row,) = Canary(format=FORMAT, secrets=("aB-12 é",), alternatives=200).rows(tmp_path)
    fills = row.fields["fills"]
    assert fills[0] == row.fields["fill"] == " aB-12 é."
    assert row.fields["before"] == "The access code of the archive is"
    assert len(set(fills)) == 201
    for fill in fills[1:]:
        lower, upper, dash, first, second, blank, accent = fill.removeprefix(" ").removesuffix(".")
        assert lower.islower()
        assert upper.isupper()
        assert first.isdigit()
        assert second.isdigit()
        assert (dash, blank, accent) == ("-", " ", "é")
    assert row.fields["space_bits"] == pytest.approx(math.log2(26 * 26 * 100))


def test_a_small_space_is_enumerated(tmp_path):
    for row in Canary(format=FORMAT, secrets=tuple("0123456789"), alternatives=255).rows(tmp_path):
        assert sorted(row.fields["fills"]) == [f" {digit}." for digit in range(10)]
        assert row.fields["space_bits"] == pytest.approx(math.log2(10))


def test_candidates_and_secrets_from_files(tmp_path):
    (tmp_path / "names.txt").write_text("Anna\nBerta\nCarla\nAnna\n")
    (tmp_path / "secrets.csv").write_text("secret\nBerta\nDora\n")
    probe = Canary(format="Her name is {}", path="secrets.csv", candidates="names.txt")
    first, second = probe.rows(tmp_path)
    assert first.fields["fills"][0] == " Berta"
    assert sorted(first.fields["fills"]) == [" Anna", " Berta", " Carla"]
    assert sorted(second.fields["fills"]) == [" Anna", " Berta", " Carla", " Dora"]
    assert second.fields["space_bits"] == 2.0
    assert first.place.line == 2


def test_the_same_again_and_another_seed(tmp_path):
    def fills(**options):
        return Canary(format=FORMAT, secrets=("123456",), **options).rows(tmp_path)[0].fields["fills"]

    assert fills() == fills() != fills(seed=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "no blank", "secrets": ("1",)}, "must hold {} once"),
        ({"format": "{} and {}", "secrets": ("1",)}, "must hold {} once"),
        ({"format": " {}", "secrets": ("1",)}, "words before it"),
        ({"format": FORMAT}, "either secrets or path"),
        ({"format": FORMAT, "secrets": ("1",), "path": "x.txt"}, "either secrets or path"),
        ({"format": FORMAT, "secrets": ("1",), "alternatives": 0}, "alternatives"),
    ],
)
def test_wrong_options(options, said):
    with pytest.raises(UsageError, match=said):
        Canary(**options)


def test_a_secret_without_form(tmp_path):
    with pytest.raises(UsageError, match="no digit and no letter"):
        Canary(format=FORMAT, secrets=("---",)).rows(tmp_path)
