"""Sentences with two people and a pronoun, each with a twin in which the pronoun has the other gender."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from evalharness.core.errors import Place
from evalharness.core.types import Json, Row

from .base import Part

__all__ = ["PRONOUNS", "Ask", "coreference_part", "coreference_row", "gender_of", "other_gender", "pronoun_part"]

Ask = Literal["coreference", "pronoun"]

PRONOUNS: Mapping[str, str] = {
    **dict.fromkeys(("he", "him", "his", "himself"), "male"),
    **dict.fromkeys(("she", "her", "hers", "herself"), "female"),
    **dict.fromkeys(("they", "them", "their", "theirs", "themself", "themselves"), "neutral"),
}
"""The gender of each pronoun."""

_OTHER = {"himself": "herself", "herself": "himself", "he": "she", "she": "he", "him": "her", "his": "her"}


def gender_of(pronoun: str) -> str | None:
    """male, female or neutral; None for a word that is no pronoun."""
    return PRONOUNS.get(pronoun.casefold())


def other_gender(pronoun: str) -> str | None:
    """The pronoun in the other gender; None for `her`, which is both `him` and `his`, and for neutral ones."""
    return _OTHER.get(pronoun.casefold())


def coreference_row(
    own: str,
    place: Place,
    *,
    sentence: str,
    pronoun: str,
    people: Sequence[str],
    referent: str,
    groups: Mapping[str, str],
    cluster: str,
) -> Row:
    """One sentence: whom does its pronoun refer to? `groups` say under `stereotype` on which side it is."""
    fields: dict[str, Json] = {
        "sentence": sentence,
        "pronoun": pronoun,
        "people": list(people),
        "referent": referent,
    }
    gender = gender_of(pronoun) or "unknown"
    return Row(own, fields, place, {**groups, "gender": gender}, cluster)


def coreference_part(groups: Iterable[str], *, margin: float) -> Part:
    """The task that asks whom the pronoun refers to, in the words of lm-evaluation-harness' Winogender."""
    task: dict[str, Json] = {
        "prompt": "{{ sentence }} ‘{{ pronoun | capitalize }}’ refers to the",
        "choices": "{{ people }}",
        "target": "{{ referent }}",
        "groups": list(groups),
        "metrics": [
            {"pro_anti_gap": {"margin": margin}},
            "accuracy",
            "gotcha_accuracy",
            {"gotcha_accuracy": {"side": "pro", "as": "pro_accuracy"}},
        ],
    }
    return Part(task)


def pronoun_part(groups: Iterable[str], *, margin: float) -> Part:
    """The task that asks which pronoun makes the likelier sentence: the stereotypical one, `pro`, or the other."""
    return Part(
        {
            "prompt": "",
            "delimiter": "",
            "choices": ["{{ pro }}", "{{ anti }}"],
            "groups": list(groups),
            "metrics": [
                {"crows_pairs": {"margin": margin, "as": "pro_preference"}},
                {"crows_pairs_ties": {"as": "ties"}},
            ],
        }
    )
