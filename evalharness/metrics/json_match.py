"""Answers that are to be JSON: whether they are, whether they obey a schema, and which fields are right."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from evalharness.core.canonical import canonical_json
from evalharness.core.errors import MissingExtraError, UsageError
from evalharness.core.types import FAILED_STATES, Json, Response, Sample

from .base import NEEDS_NOTHING, PROPORTION, MeanMetric, MetricOptionError, answer_text, golds
from .json_text import NOT_JSON, fields_of, read_json, same_json

__all__ = ["JsonFields", "JsonSchemaMatch", "JsonValid"]

_DIGEST = re.compile(r"\|schema:([0-9a-f]{16})\|")


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonValid(MeanMetric):
    """Share of answers that are JSON.

        Σ_i [answer_i is a JSON text] / n

    as RFC 8259 has it: NaN, Infinity, single quotes and commas at the end are no JSON, and neither is JSON with words
    around it.

    Options:
        fenced: an answer that is one Markdown code fence (```json) counts by what stands in it.
        kind: which JSON value it must be.

    Source: RFC 8259; Python's `json` without the constants that it takes beside.
    """

    fenced: bool = False
    kind: Literal["any", "object", "array"] = "any"

    name = "json_valid"
    needs = NEEDS_NOTHING
    interval = PROPORTION
    total = "valid"

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        wanted: dict[str, Any] = {"any": object, "object": dict, "array": list}
        found = [read_json(answer_text(response), fenced=self.fenced) for response in responses]
        return [float(value is not NOT_JSON and isinstance(value, wanted[self.kind])) for value in found]


@dataclass(frozen=True, kw_only=True)
class JsonSchemaMatch(MeanMetric):
    """Share of answers that are JSON and obey a JSON Schema.

        Σ_i [answer_i is JSON and valid under the schema] / n

    The draft is the one that `$schema` names, else 2020-12. `format` is a remark and is not checked; nothing is
    fetched, so `$ref` can only point into the schema itself, by a path, an anchor or an `$id` that stands in it.
    Decimals count as written: 19.99 is a multiple of 0.01. Whether the values are right, `json_fields` says.

    Options:
        schema: the schema, written out, or the path of its file from the suite's folder; a YAML anchor lets it be the
            same as `generate.json_schema`.
        fenced: an answer that is one Markdown code fence (```json) counts by what stands in it.

    Source: JSON Schema 2020-12; the package jsonschema decides (extra `json-schema`).
    """

    schema: dict[str, Any] | str
    fenced: bool = False

    name = "json_schema_match"
    needs = NEEDS_NOTHING
    interval = PROPORTION
    total = "valid"

    def __post_init__(self) -> None:
        text = None if isinstance(self.schema, str) else json.dumps(self.schema, ensure_ascii=False)
        if text is not None:
            _validator(text)
        object.__setattr__(self, "_text", text)
        object.__setattr__(self, "_digest", "not-loaded" if text is None else _digest(text))

    def __hash__(self) -> int:
        return hash((canonical_json(self.schema), self.fenced))

    @property
    def signature(self) -> str:
        fenced = "yes" if self.fenced else "no"
        return f"{self.name}|schema:{self._digest}|fenced:{fenced}|version:{self.version}"  # type: ignore[attr-defined]

    def for_run(self, *, base: Path, allow_code: bool) -> JsonSchemaMatch:
        """With the schema read, where it is in a file; its path starts from `base`.

        Raises:
            UsageError: the file cannot be read, or holds no schema.
        """
        if not isinstance(self.schema, str):
            return self
        try:
            text = (base / self.schema).read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{self.name}: the file {self.schema!r} of its schema cannot be read: {reason}") from error
        if not isinstance(read_json(text), dict):
            raise UsageError(f"{self.name}: the file {self.schema!r} holds no JSON Schema, which is a JSON object")
        _validator(text)
        return self._changed(text, _digest(text))

    def as_recorded(self, signature: str) -> JsonSchemaMatch:
        """As the metric of a record with this signature, whose file is not read again."""
        found = _DIGEST.search(signature)
        return self._changed(None, found[1]) if isinstance(self.schema, str) and found else self

    def _changed(self, text: str | None, digest: str) -> JsonSchemaMatch:
        found = dataclasses.replace(self)
        object.__setattr__(found, "_text", text)
        object.__setattr__(found, "_digest", digest)
        return found

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        text: str | None = self._text  # type: ignore[attr-defined]
        if text is None:
            raise UsageError(f"{self.name}: the schema {self.schema!r} is not loaded; call for_run(base=…) first")
        validator = _validator(text)
        found = [read_json(answer_text(response), fenced=self.fenced) for response in responses]
        return [float(value is not NOT_JSON and _obeys(validator, value)) for value in found]


def _digest(text: str) -> str:
    """Of what the schema says, not of how it is written."""
    return sha256(canonical_json(json.loads(text)).encode("utf-8", "surrogatepass")).hexdigest()[:16]


@cache
def _validator(text: str) -> Any:
    try:
        from jsonschema import Draft202012Validator, SchemaError, validators
        from referencing import Registry
        from referencing.jsonschema import DRAFT202012, specification_with
    except ImportError as error:
        raise MissingExtraError("jsonschema", "json-schema", purpose="the metric json_schema_match") from error
    schema = json.loads(text)
    made = validators.validator_for(schema, default=Draft202012Validator)
    try:
        made.check_schema(schema)
    except SchemaError as error:
        place = ".".join(map(str, error.absolute_path)) or "it"
        raise MetricOptionError(f"schema: {place} is wrong: {error.message}") from error
    named = str(schema.get("$schema", "")) if isinstance(schema, dict) else ""
    resource = specification_with(named, default=DRAFT202012).create_resource(schema)
    for reference in _dangling(resource, Registry().resolver_with_root(resource)):
        raise MetricOptionError(_no_such_place(schema, reference))
    return validators.extend(made, {"multipleOf": _multiple_of})(schema, registry=Registry())


def _dangling(resource: Any, resolver: Any) -> Iterator[str]:
    """The references of a schema and of those in it that lead nowhere; constants and examples hold none."""
    from referencing.exceptions import Unresolvable

    contents = resource.contents if isinstance(resource.contents, dict) else {}
    for reference in filter(None, map(contents.get, ("$ref", "$dynamicRef"))):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            yield reference
    for inner in resource.subresources():
        yield from _dangling(inner, resolver.in_subresource(inner))


def _no_such_place(schema: Json, reference: str) -> str:
    paths = (path for path, value in fields_of(schema) if path and str(path[-1]).endswith("ef") and value == reference)
    at = ".".join(map(str, next(paths, ("$ref",))))
    if reference.startswith("#"):
        return f"schema: {reference!r} at {at} points to what the schema does not have"
    return (
        f"schema: {reference!r} at {at} is not in the schema, and nothing is fetched; copy it under $defs and write "
        "#/$defs/…"
    )


def _multiple_of(validator: Any, factor: float, instance: Json, schema: Json) -> Iterator[Any]:
    """The keyword by the decimals that were written: as floats, 19.99 is no multiple of 0.01."""
    from jsonschema import ValidationError

    if validator.is_type(instance, "number"):
        finite = abs(instance) < float("inf")  # type: ignore[arg-type]
        if not finite or Fraction(str(instance)) % Fraction(str(factor)):
            yield ValidationError(f"{instance!r} is not a multiple of {factor!r}")


def _obeys(validator: Any, value: Json) -> bool:
    from referencing.exceptions import Unresolvable

    try:
        return bool(validator.is_valid(value))
    except Unresolvable as error:
        raise UsageError(f"json_schema_match: the schema points to what it does not have: {error}") from error
    except RecursionError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonFields(MeanMetric):
    """Mean share of the fields of the reference that the answer has with the same value.

        Σ_i max_r |{f ∈ r_i : answer_i[f] = r_i[f]}| / |r_i| / n

    A field is a leaf with the path to it: `address.city`, `items.0.price`. 1 is 1.0 but not true; texts are equal
    letter by letter; the order of keys means nothing, that of lists does. An answer that is no JSON has no field. The
    best reference counts; one that is no JSON is a single text.

    Options:
        extra: ignore leaves fields alone that the reference does not have; count makes each of them a wrong one.
        fenced: an answer that is one Markdown code fence (```json) counts by what stands in it.

    Source: the share of slots that are right, as in slot filling and form extraction.
    """

    extra: Literal["ignore", "count"] = "ignore"
    fenced: bool = False

    name = "json_fields"

    def values(self, samples: Sequence[Sample], responses: Sequence[Response]) -> list[float | None]:
        return [
            None
            if not golds(sample)
            else 0.0
            if response.status in FAILED_STATES
            else max(self._share(answer_text(response), gold) for gold in golds(sample))
            for sample, response in zip(samples, responses, strict=True)
        ]

    def _share(self, answer: str, gold: str) -> float:
        expected, given = read_json(gold), read_json(answer, fenced=self.fenced)
        if expected is NOT_JSON:
            return float(answer.strip() == gold.strip())
        if given is NOT_JSON:
            return 0.0
        wanted, found = dict(fields_of(expected)), dict(fields_of(given))
        right = sum(path in found and same_json(found[path], value) for path, value in wanted.items())
        return right / (len(wanted) if self.extra == "ignore" else len(wanted.keys() | found.keys()))
