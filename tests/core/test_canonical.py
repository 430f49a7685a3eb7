"""Canonical JSON: one text for one content."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.canonical import canonical_json, digest, file_digest, to_jsonable

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=15,
)


@dataclass(frozen=True)
class Point:
    """A value of ours."""

    x: float
    tags: tuple[str, ...]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None, "é"]}, '{"a":[true,null,"é"],"b":1}'),
        ((1, 2.0, -0.0), "[1,2.0,-0.0]"),
        (float("nan"), '"nan"'),
        ([float("inf"), float("-inf")], '["inf","-inf"]'),
        (Point(1.5, ("a",)), '{"tags":["a"],"x":1.5}'),
        (MappingProxyType({"a": (1,)}), '{"a":[1]}'),
        (Path("a") / "b", '"a/b"'),
        ({1: "x"}, '{"1":"x"}'),
        ({"a": Point(float("nan"), ())}, '{"a":{"tags":[],"x":"nan"}}'),
    ],
)
def test_canonical_json(value: Any, text: str) -> None:
    assert canonical_json(value) == text


@pytest.mark.parametrize("value", [{1, 2}, b"x", object(), {"a": [{1}]}, [float("nan"), {1}]])
def test_what_has_no_one_form_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


def test_known_digests() -> None:
    # printf '{"a":[1,2.5,"é"],"b":null}' | sha256sum (GNU coreutils 9.1)
    assert digest({"b": None, "a": [1, 2.5, "é"]}) == hashlib.sha256('{"a":[1,2.5,"é"],"b":null}'.encode()).hexdigest()
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert digest("") == "12ae32cb1ec02d01eda3581b127c1fee3b0dc53572ed6baf239721a03d82e126"


def test_lone_surrogates_are_hashed_as_they_stand() -> None:
    assert digest("\ud800") != digest("\ud801")


@given(values)
def test_the_short_way_gives_what_the_long_way_gives(value: Any) -> None:
    long = json.dumps(to_jsonable(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    assert canonical_json(value) == long


@given(values)
def test_the_order_of_keys_does_not_matter(value: Any) -> None:
    def turned(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: turned(item[key]) for key in reversed(list(item))}
        return [turned(part) for part in item] if isinstance(item, list) else item

    assert digest(turned(value)) == digest(value)


@given(values, values)
def test_different_content_has_different_digests(one: Any, two: Any) -> None:
    assert (digest(one) == digest(two)) == (canonical_json(one) == canonical_json(two))


def test_digests_do_not_depend_on_the_process() -> None:
    code = "from evalharness.core.canonical import digest; print(digest({'z': 1, 'a': ['é', 2.5, None]}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("0", "1")
    }
    assert found == {digest({"z": 1, "a": ["é", 2.5, None]}) + "\n"}


def test_file_digest(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 1_000_000)
    assert file_digest(path) == hashlib.sha256(b"x" * 1_000_000).hexdigest()
