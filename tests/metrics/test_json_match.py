from __future__ import annotations

import builtins
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.errors import UsageError
from evalharness.core.types import Response, Sample
from evalharness.metrics import json_match
from evalharness.metrics.base import MetricOptionError
from evalharness.metrics.json_match import JsonFields, JsonSchemaMatch, JsonValid
from evalharness.metrics.json_text import NOT_JSON, fields_of, read_json, same_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}
FENCE = "```json\n{}\n```"


def answered(text):
    return [Sample(id="0", digest="", prompt="")], [Response(key="0", text=text)]


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ('{"a": 1}', 1),
        (" [1, 2]\n", 1),
        ("null", 1),
        ('"text"', 1),
        ("NaN", 0),
        ('{"a": Infinity}', 0),
        ("{'a': 1}", 0),
        ('{"a": 1,}', 0),
        ('Here it is: {"a": 1}', 0),
        ("", 0),
        (FENCE.format('{"a": 1}'), 0),
        ("[" * 100_000, 0),
        ("1" + "0" * 5000, 1),
        (f'{{"a": -{"9" * 5000}}}', 1),
    ],
)
def test_validity(text, valid, figure):
    assert figure(JsonValid(), *answered(text)) == valid


def test_fences_and_kinds(figure):
    assert figure(JsonValid(fenced=True), *answered(FENCE.format("[1]"))) == 1.0
    assert figure(JsonValid(fenced=True), *answered("```\n[1]\n```")) == 1.0
    assert figure(JsonValid(fenced=True), *answered("See:\n" + FENCE.format("[1]"))) == 0.0
    assert figure(JsonValid(kind="object"), *answered("[1]")) == 0.0
    assert figure(JsonValid(kind="array"), *answered("[1]")) == 1.0


@given(value=VALUES)
def test_all_that_is_written_is_read(value):
    assert read_json(json.dumps(value)) == value or value != value
    assert same_json(value, json.loads(json.dumps(value)))


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (True, True, True),
        (None, None, True),
        (None, 0, False),
        ("1", 1, False),
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ([1, 2], [2, 1], False),
        ([], {}, False),
    ],
)
def test_equality(first, second, same):
    assert same_json(first, second) is same
    assert same_json(second, first) is same


def test_schema(figure):
    pytest.importorskip("jsonschema")
    metric = JsonSchemaMatch(schema=SCHEMA)
    cases = {'{"name": "A", "age": 3}': 1, '{"name": "A"}': 1, '{"age": 3}': 0, '{"name": "A", "age": -1}': 0}
    cases |= {'{"name": "A", "x": 1}': 0, "[]": 0, "no": 0, FENCE.format('{"name": "A"}'): 0}
    for text, expected in cases.items():
        assert figure(metric, *answered(text)) == expected, text
    assert figure(JsonSchemaMatch(schema=SCHEMA, fenced=True), *answered(FENCE.format('{"name": "A"}'))) == 1.0


def test_the_draft_is_the_schemas_own(figure):
    pytest.importorskip("jsonschema")
    tuple_of_draft_7 = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]}
    assert figure(JsonSchemaMatch(schema=tuple_of_draft_7), *answered("[1]")) == 0.0
    with pytest.raises(MetricOptionError, match="schema: items is wrong"):
        JsonSchemaMatch(schema={"items": [{"type": "string"}]})


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "objekt"}, "schema: type is wrong: 'objekt'"),
        ({"$ref": "https://example.com/s.json"}, "nothing is fetched"),
        ({"properties": {"a": {"$ref": "other.json#/a"}}}, r"at properties\.a\.\$ref"),
    ],
)
def test_a_wrong_schema_is_refused(schema, message):
    pytest.importorskip("jsonschema")
    with pytest.raises(MetricOptionError, match=message):
        JsonSchemaMatch(schema=schema)


def test_a_reference_to_nothing_is_told_before_anything_is_asked():
    pytest.importorskip("jsonschema")
    with pytest.raises(
        MetricOptionError, match=r"'#/\$defs/none' at properties\.a\.\$ref points to what the schema does"
    ):
        JsonSchemaMatch(schema={"properties": {"a": {"$ref": "#/$defs/none"}}})


def test_a_reference_in_what_is_no_schema_is_told(figure):
    pytest.importorskip("jsonschema")
    metric = JsonSchemaMatch(schema={"$ref": "#/parts/a", "parts": {"a": {"$ref": "#/parts/b"}}})
    with pytest.raises(UsageError, match="points to what it does not have"):
        figure(metric, *answered("1"))


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"n": {"$anchor": "whole", "type": "integer"}}, "$ref": "#whole"},
        {"$id": "https://example.com/s", "$defs": {"n": {"$id": "n", "type": "integer"}}, "$ref": "n"},
        {"$id": "https://example.com/s", "$defs": {"n": {"type": "integer"}}, "$ref": "https://example.com/s#/$defs/n"},
        {"$schema": "http://json-schema.org/draft-04/schema#", "id": "x:s", "definitions": {"n": {"type": "integer"}},
         "$ref": "#/definitions/n"},
        {"$id": "https://example.com/a/s", "$ref": "https://example.com/b/n", "$defs": {
            "n": {"$id": "https://example.com/b/n", "$ref": "m"},
            "m": {"$id": "https://example.com/b/m", "type": "integer"}}},
        {"enum": [1, {"$ref": "https://example.com/no-reference"}]},
    ],
)  # fmt: skip
def test_references_into_the_schema_itself(schema, figure):
    pytest.importorskip("jsonschema")
    assert figure(JsonSchemaMatch(schema=schema), *answered("1")) == 1.0
    assert figure(JsonSchemaMatch(schema=schema), *answered('"1"')) == 0.0


@pytest.mark.parametrize(
    ("factor", "answer", "expected"),
    [(0.01, "19.99", 1), (0.01, "0.07", 1), (0.01, "19.995", 0), (3, "9.0", 1), (0.5, "1e999", 0), (1e-8, "123", 1)],
)  # fmt: skip
def test_multiples_are_those_of_the_decimals(factor, answer, expected, figure):
    pytest.importorskip("jsonschema")
    assert figure(JsonSchemaMatch(schema={"items": {"multipleOf": factor}}), *answered(f"[{answer}]")) == expected


def test_a_schema_in_a_file(tmp_path, figure):
    pytest.importorskip("jsonschema")
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA, indent=3))
    metric = JsonSchemaMatch(schema="schema.json")
    with pytest.raises(UsageError, match="not loaded"):
        figure(metric, *answered("1"))
    loaded = metric.for_run(base=tmp_path, allow_code=False)
    assert figure(loaded, *answered('{"name": "A"}')) == 1.0
    assert loaded.signature == JsonSchemaMatch(schema=SCHEMA).signature
    assert metric.as_recorded(loaded.signature).signature == loaded.signature
    assert loaded.for_task(()).signature == loaded.signature
    with pytest.raises(UsageError, match=r"'none\.json' of its schema cannot be read: No such file"):
        JsonSchemaMatch(schema="none.json").for_run(base=tmp_path, allow_code=False)
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(UsageError, match="holds no JSON Schema"):
        JsonSchemaMatch(schema="list.json").for_run(base=tmp_path, allow_code=False)


def test_without_the_package_the_remedy_is_told(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.partition(".")[0] == "jsonschema":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    json_match._validator.cache_clear()
    with pytest.raises(UsageError, match=r"pip install 'evalharness\[json-schema\]'"):
        JsonSchemaMatch(schema={"type": "object", "title": "never seen before"})


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [
        ('{"a": 1, "b": {"c": "x"}}', '{"a": 1.0, "b": {"c": "x"}}', 1.0),
        ('{"a": 1, "b": {"c": "y"}}', '{"a": 1, "b": {"c": "x"}}', 0.5),
        ('{"a": 1, "z": 2}', '{"a": 1}', 1.0),
        ('{"items": [1, 3]}', '{"items": [1, 2, 3]}', 1 / 3),
        ("{}", "{}", 1.0),
        ("no", '{"a": 1}', 0.0),
        ("plain text", "plain text ", 1.0),
    ],
)
def test_fields(answer, gold, expected, make_pairs, figure):
    assert figure(JsonFields(), *make_pairs([answer], [[gold]])) == pytest.approx(expected)


def test_extra_fields_can_count(make_pairs, figure):
    pairs = make_pairs(['{"a": 1, "z": 2}'], [['{"a": 1}']])
    assert figure(JsonFields(extra="count"), *pairs) == 0.5
    assert figure(JsonFields(), *make_pairs([FENCE.format('{"a": 1}')], [['{"a": 1}']])) == 0.0
    assert figure(JsonFields(fenced=True), *make_pairs([FENCE.format('{"a": 1}')], [['{"a": 1}']])) == 1.0


def test_leaves():
    found = dict(fields_of({"a": [1, {"b": None}], "c": {}, "d": []}))
    assert found == {("a", 0): 1, ("a", 1, "b"): None, ("c",): {}, ("d",): []}
    assert NOT_JSON is not None
    assert repr(NOT_JSON) == "NOT_JSON"
