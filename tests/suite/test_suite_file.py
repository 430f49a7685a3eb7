"""The JSON Schema and the reference page say what the loader accepts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from evalharness.suite.load import load_suite
from evalharness.suite.node import plain
from evalharness.suite.reference import reference
from evalharness.suite.suite_file import SCHEMA_ID, SuiteFile, file_schema
from evalharness.suite.yamlfile import parse

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted([*(ROOT / "suites").glob("**/*.yaml"), ROOT / "evalharness" / "cli" / "starter" / "suite.yaml"])


@pytest.fixture(scope="module")
def valid() -> Callable[[Any], bool]:
    schema = file_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    return validator.is_valid


def read(text: str) -> Any:
    document, problems = parse(text, shown="f")
    assert document is not None
    assert not problems
    return plain(document)


def test_the_schema_names_itself_and_its_dialect() -> None:
    schema = file_schema()
    assert schema["$id"] == SCHEMA_ID
    assert schema["$schema"].endswith("2020-12/schema")
    assert set(schema["properties"]) == set(SuiteFile.model_fields)
    json.dumps(schema)


def test_making_the_schema_twice_gives_the_same() -> None:
    assert file_schema() == file_schema()


def test_the_good_suite_fits(valid: Callable[[Any], bool], base_text: str) -> None:
    assert valid(read(base_text))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_example_suites_fit(path: Path, valid: Callable[[Any], bool]) -> None:
    assert valid(yaml.safe_load(path.read_text("utf-8")))
    assert path.read_text("utf-8").startswith("# yaml-language-server: $schema=")
    load_suite(path)


EXECUTION = "execution:\n  concurrency: 4\n  on_error: {count_as: wrong, max_rate: 0.5}\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seed: 3", "seed: null"),
        ("seed: 3", 'seed: "${vars.n}"'),
        ("{max_tokens: 8}", '{max_tokens: "${vars.n}"}'),
        ("{count_as: wrong, max_rate: 0.5}", "fail"),
        ("{count_as: wrong, max_rate: 0.5}", "exclude"),
        ("{count_as: wrong, max_rate: 0.5}", "count_wrong"),
        (EXECUTION, "execution: {cache: reuse}\n"),
        ("metrics: [accuracy]", "metrics: [accuracy, {mcc: ~}, {f1_macro: {}}]"),
        ("choices: [pos, neg]", 'choices: "{{ [label, text] }}"'),
        ('reference: "{{ gold }}"', 'reference: ["{{ gold }}", "{{ text }}"]'),
        ('prompt: "Q: {{ text }}"', "prompt: {file: p.j2}"),
        ("model: cls", "model: [cls]"),
        ("seed: 3", "matrix: {gen.generate.temperature: [0, 0.5]}"),
        ("{role: system, content: Be brief.}", "{history: turns}"),
        ("path: ./cls", "path: ./cls, batch_size: auto"),
        ("path: ./cls", "path: ./cls, batch_size: 4"),
    ],
)
def test_every_accepted_form_fits(
    old: str, new: str, valid: Callable[[Any], bool], load_text: Callable[..., Any], base_text: str, tmp_path: Path
) -> None:
    assert old in base_text
    (tmp_path / "p.j2").write_text("{{ text }}")
    text = base_text.replace(old, new, 1)
    load_text(text)
    assert valid(read(text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1", "version: 2"),
        ("seed: 3", "sed: 3"),
        ("seed: 3", "seed: three"),
        ("name: base\n", ""),
        ("backend: fake", "backend: fkae"),
        ("reply: ", "replay: "),
        ("  gen: {", "  gen@1: {"),
        ("- id: ppl", "- id: ppl@1"),
        ("  file: {", "  my file: {"),
        ("{path: items.jsonl, id: key}", "{id: key}"),
        ("{path: items.jsonl, id: key}", "{path: a, hf: b}"),
        ("n: 1}", "n: 0}"),
        ("n: 1}", "n: 1, draw: drawn}"),
        ("{count_as: wrong, max_rate: 0.5}", "failing"),
        ("at_least: 0.1", "at_least: 0.1, at_most: 1"),
        ("{metric: free.rougeL, at_least: 0.1}", "{metric: free.rougeL}"),
        ("{role: system, content: Be brief.}", "{role: system}"),
        ("choices: [pos, neg]", "choices: [pos]"),
        ('    perplexity: "{{ text }}"\n', ""),
        ("{max_tokens: 8}", '{max_tokens: "8"}'),
        ("{bleu: {lowercase: true}}", "{bleu: {}, chrf: {}}"),
    ],
)
def test_what_is_refused_does_not_fit(old: str, new: str, valid: Callable[[Any], bool], base_text: str) -> None:
    assert old in base_text
    assert not valid(read(base_text.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("extends: base.yaml", True),
        ("extends: [a.yaml, b.yaml]\nseed: 3", True),
        ("extends: a.yaml\ntasks: [{id: x, limit: 3}]\nmodels: {m: {dtype: float32}, old: null}", True),
        ("extends: a.yaml\ngates: {baseline: s@production}", True),
        ("extends: a.yaml\ntasks: [{id: x, limt: 3}]", False),
        ("extends: a.yaml\nsed: 3", False),
        ("extends: 3", False),
        ("seed: 3", False),
    ],
)
def test_a_file_that_extends_says_only_what_changes(text: str, fits: bool, valid: Callable[[Any], bool]) -> None:
    assert valid(read(text)) is fits


def test_every_key_is_described() -> None:
    def walk(name: str, definition: dict[str, Any]) -> None:
        for key, value in definition.get("properties", {}).items():
            # A reference is described where it leads; a single constant explains itself.
            reference_to = any("$ref" in option for option in [value, *value.get("anyOf", ())])
            assert "description" in value or "const" in value or reference_to, f"{name}.{key}"

    schema = file_schema()
    for name, definition in schema["$defs"].items():
        walk(name, definition)
    walk("suite", schema["else"])


def test_the_committed_reference_is_current() -> None:
    committed = (ROOT / "docs" / "suite-reference.md").read_text("utf-8")
    assert committed == reference(), "run: python -m evalharness.suite.reference > docs/suite-reference.md"


def test_the_reference_names_every_key() -> None:
    page = reference()
    for definition in [*file_schema()["$defs"].values(), file_schema()["else"]]:
        for key in definition.get("properties", {}):
            assert f"| `{key}` |" in page, key
