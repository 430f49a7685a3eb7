"""Files that are hardly text, and the whole surface fuzzed: never a traceback, always exit 2 and a place."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalharness.cli.main import main
from evalharness.suite.node import plain
from evalharness.suite.yamlfile import MAX_ALIASES, parse

MESSAGE = re.compile(r"^.+:\d+:\d+ \S")
BASE = Path(__file__).with_name("base.yaml").read_text("utf-8")

ODD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", ":1:1 syntax: the file is empty"),
    "blanks": (b"   \n\n  \n", ":1:1 syntax: the file is empty"),
    "only-bom": (b"\xef\xbb\xbf", ":1:1 syntax: the file is empty"),
    "utf-16-le": ("version: 1".encode("utf-16"), ":1:1 syntax: the file is UTF-16"),
    "utf-16-be": (b"\xfe\xff\x00v", "UTF-16"),
    "latin-1": ("version: 1\nname: café\n".encode("latin-1"), ":2:10 syntax: byte 0xe9 is not UTF-8"),
    "cut-off-utf-8": (b"name: \xe2\x82", ":1:7 syntax: byte 0xe2 is not UTF-8"),
    "surrogate": (b"name: \xed\xa0\x80", ":1:7 syntax: byte 0xed is not UTF-8"),
    "nul-only": (b"\0\0\0", ":1:1 syntax: a NUL byte"),
    "many-nuls": (b"a\0" * 1000, ":1:2 syntax: a NUL byte"),
    "binary": (bytes(range(256)), "byte 0x80 is not UTF-8"),
    "gzip": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "is not UTF-8"),
    "carriage-returns": (b"version: 1\rname: [\r", ":"),
    "long-line": (b"a" * 2_000_000, "a single value"),
    "deep-flow": (b"[" * 200_000, ":1:41 syntax: it is nested more than 40"),
    "deep-block": (b"".join(b" " * i + b"a:\n" for i in range(200)), "nested more than 40"),
    "deep-dashes": (b"- " * 5_000, "nested more than 40"),
    "question-marks": (b"? " * 5_000, "nested more than 40"),
    "too-large": (b"#" * 16_000_001, "larger than 16 MB"),
}


def _validate(path: Path, *more: str) -> tuple[int, list[str]]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["validate", str(path), "--level", "references", *more])
    return code, [line for line in err.getvalue().splitlines() if not line.startswith("evalharness: ")]


@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_bytes(name: str, tmp_path: Path) -> None:
    content, says = ODD[name]
    path = tmp_path / "suite.yaml"
    path.write_bytes(content)
    code, messages = _validate(path)
    assert code == 2
    assert all(MESSAGE.match(line) for line in messages), messages
    assert any(says in line for line in messages), messages


def test_a_byte_order_mark_at_the_start_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "a secret")
    path = tmp_path / "suite.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + BASE.encode())
    assert _validate(path) == (0, [])


def test_windows_line_ends_are_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "a secret")
    path = tmp_path / "suite.yaml"
    path.write_bytes(BASE.replace("\n", "\r\n").encode())
    assert _validate(path) == (0, [])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder / "none.yaml", "no such file"),
        (lambda folder: folder, "a folder"),
        (lambda folder: folder / ("n" * 300), "cannot be read"),
        (lambda folder: folder / "a\0b", "cannot be read"),
    ],
)
def test_a_path_that_is_no_file(make: Any, says: str, tmp_path: Path) -> None:
    code, messages = _validate(make(tmp_path))
    assert code == 2
    assert says in messages[0]
    assert MESSAGE.match(messages[0])


def test_a_misspelt_file_name_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "nightly.yaml").write_text(BASE)
    _, messages = _validate(tmp_path / "nighly.yaml")
    assert "did you mean 'nightly.yaml'" in messages[0]


def test_a_billion_laughs_cost_nothing() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    began = time.process_time()
    document, problems = parse("\n".join(lines), shown="bomb.yaml")
    assert document is None
    assert "aliases stand for more than 1,000,000 values" in problems[0].message
    assert time.process_time() - began < 5


def test_a_billion_laughs_of_variables_cost_little(tmp_path: Path) -> None:
    variables = "\n".join(f'  v{i}: ["${{vars.v{i + 1}}}", "${{vars.v{i + 1}}}"]' for i in range(40))
    path = tmp_path / "suite.yaml"
    path.write_text(BASE.replace("vars: {n: 4, unused: [1]}", f"vars:\n  n: 1\n{variables}\n  v40: x"))
    code, messages = _validate(path)
    assert code == 2
    assert any("stand for more than 1,000,000 values" in line for line in messages), messages[:3]


def test_aliases_are_counted() -> None:
    text = "a: &a 1\nb: [" + ", ".join(["*a"] * (MAX_ALIASES + 1)) + "]"
    _, problems = parse(text, shown="f")
    assert f"more than {MAX_ALIASES} aliases" in problems[0].message


def test_anchors_and_merge_keys_work() -> None:
    document, problems = parse("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [*a, {z: 4}]}", shown="f")
    assert not problems
    assert document is not None
    assert plain(document) == {"a": {"x": 1, "y": 2}, "b": {"y": 3, "x": 1}, "c": {"x": 1, "y": 2, "z": 4}}


def test_numbers_and_words_as_yaml_1_2_reads_them() -> None:
    text = "[1, -2, +3, 0, 1.5, .5, 1e3, 1e-2, true, False, null, ~, y, n, 1.2.3, 1-2, -, 'yes', \"012\", 12a, é]"
    document, problems = parse(text.replace(", -,", ","), shown="f")
    assert not problems
    assert document is not None
    expected = [1, -2, 3, 0, 1.5, 0.5, 1000.0, 0.01, True, False, None, None, "y", "n", "1.2.3", "1-2"]
    assert plain(document) == [*expected, "yes", "012", "12a", "é"]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff\ufffe\uffff\u2028\u2029")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz_", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
@settings(deadline=None)
def test_json_is_read_as_it_stands(value: Any) -> None:
    import json

    document, problems = parse(json.dumps(value, ensure_ascii=False), shown="f")
    assert not problems
    assert document is not None
    assert plain(document) == value


# ── fuzzing ───────────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def _file(content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "suite.yaml"
        path.write_bytes(content)
        yield path


def _holds(content: bytes, *more: str) -> None:
    """It is valid, or refused with places; an internal error would be exit code 3."""
    with _file(content) as path:
        code, messages = _validate(path, *more)
        assert code in (0, 2), messages
        assert bool(messages) == (code == 2)
        for line in messages:
            assert MESSAGE.match(line) or line.startswith("--set "), line


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in pairs:
        yield from _paths(child, (*path, key))


DOCUMENT = yaml.safe_load(BASE)
PATHS = sorted(_paths(DOCUMENT), key=str)
STRANGE = [
    None, True, 0, -1, 10**18, 1.5, "", " ", "x", "free", "gen", "{{", "{{ x }}", "{% for %}", "${vars.n}", "${vars.q}",
    "${env:KEY}", "${env:", "a@b", "a.b", "é" * 200, [], {}, [[]], [None], {"": None}, {"a": {"b": []}}, [{}], ["x", 1],
    {"backend": "fake"}, {"file": "."}, {"id": "x", "prompt": "p"}, {"metric": "a.b", "at_least": 1},
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """The good suite after one to three changes at random places."""
    import copy

    document = copy.deepcopy(DOCUMENT)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(PATHS))
        node: Any = document
        try:
            for step in path[:-1]:
                node = node[step]
            match draw(st.sampled_from(["delete", "retype", "rename", "repeat"])):
                case "delete":
                    del node[path[-1]]
                case "retype":
                    node[path[-1]] = draw(st.sampled_from(STRANGE) | json_values)
                case "rename" if isinstance(node, dict):
                    node[draw(st.sampled_from(["x", "id", "name", "prompt", "metrics"]))] = node.pop(path[-1])
                case "repeat" if isinstance(node, list):
                    node.append(copy.deepcopy(node[path[-1]]))
        except (KeyError, IndexError, TypeError):
            continue
    return document


FUZZ = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@given(mutated())
@FUZZ
def test_mutated_suites(document: dict[str, Any]) -> None:
    _holds(yaml.safe_dump(document, allow_unicode=True, sort_keys=False).encode("utf-8", "surrogatepass"))


@given(st.sampled_from(PATHS), st.sampled_from(STRANGE))
@FUZZ
def test_any_setting(path: tuple[Any, ...], value: Any) -> None:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True).removesuffix("...\n").strip()
    _holds(BASE.encode(), "--set", f"{'.'.join(map(str, path))}={text}")


@given(st.text(), st.sampled_from(["", "version: 1\n", BASE]))
@FUZZ
def test_random_text(text: str, before: str) -> None:
    _holds((before + text).encode("utf-8", "surrogatepass"))


@given(st.text(alphabet="{}[]:,-?&*!|>'\"%@`# \n\tab0<=~."))
@FUZZ
def test_random_yaml_like_text(text: str) -> None:
    _holds(text.encode())


@given(st.binary(max_size=200))
@FUZZ
def test_random_bytes(content: bytes) -> None:
    _holds(content)


@given(st.integers(0, len(BASE) - 1), st.text(alphabet="{}[]:,-?&*!|>'\"%@`# \n\ta0", max_size=3), st.integers(0, 30))
@FUZZ
def test_a_suite_with_a_piece_replaced(at: int, text: str, length: int) -> None:
    _holds((BASE[:at] + text + BASE[at + length :]).encode())
