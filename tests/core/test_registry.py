"""Names of plug-ins: found lazily, misspellings explained, clashes refused."""

from __future__ import annotations

import importlib.metadata
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from evalharness.core.errors import UsageError
from evalharness.core.registry import ROOMS, Registry, registry, suggestion


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("rougel2", ["rougeL", "rouge1", "bleu"], "; did you mean 'rougeL'?"),
        ("BLEU", ["bleu", "chrf"], "; did you mean 'bleu'?"),
        ("zzz", ["bleu"], ""),
        ("", ["bleu"], ""),
        ("x", [], ""),
    ],
)
def test_suggestions(name: str, known: list[str], expected: str) -> None:
    assert suggestion(name, known) == expected


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_names_that_load(room: str) -> None:
    found = registry(room)
    assert found is registry(room)
    assert list(found.names()) == sorted(found.names())


@pytest.mark.parametrize("name", registry("metrics").names())
def test_every_metric_explains_itself(name: str) -> None:
    assert len(registry("metrics").describe(name)) > 40


def test_unknown_rooms_and_names() -> None:
    with pytest.raises(UsageError, match="unknown room 'metric'; did you mean 'metrics'"):
        registry("metric")
    with pytest.raises(UsageError, match="unknown metric 'blue'; did you mean 'bleu'"):
        registry("metrics").check("blue")
    with pytest.raises(UsageError, match="unknown model 'hf-casual'; did you mean 'hf-causal'"):
        registry("models").load("hf-casual")
    registry("metrics").check("bleu")


def outside(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> Registry:
    found = EntryPoints(EntryPoint(name, value, "evalharness.metrics") for name, value in points)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: found)
    return Registry("metrics")


def test_a_package_adds_names(monkeypatch: pytest.MonkeyPatch) -> None:
    room = outside(monkeypatch, ("mine", "json:dumps"))
    assert "mine" in room.names()
    assert room.load("mine") is __import__("json").dumps


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([("bleu", "json:dumps")], "'bleu', which is taken by evalharness"),
        ([("mine", "json:dumps"), ("mine", "json:loads")], "'mine', which is taken by json:dumps"),
    ],
)
def test_a_clash_names_both(points: Any, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=says):
        outside(monkeypatch, *points).names()


@pytest.mark.parametrize("value", ["no_such_module_at_all:x", "json:no_such_name"])
def test_a_package_that_cannot_be_loaded_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=f"'mine' comes from the package {value}, which cannot be loaded"):
        outside(monkeypatch, ("mine", value)).load("mine")


def test_a_builtin_name_is_loaded_without_looking_at_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(group: str) -> Any:
        raise AssertionError("packages were looked at")

    monkeypatch.setattr(importlib.metadata, "entry_points", fail)
    assert Registry("metrics").load("bleu")
    Registry("drift").check("ks")
