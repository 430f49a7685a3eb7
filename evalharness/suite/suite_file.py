"""What a user writes: a `Suite` and the keys that are applied before it is one; and the JSON Schema of that."""

from __future__ import annotations

import copy
from typing import Annotated, Any

from pydantic import Field, JsonValue

from .schema import BACKENDS, PLAIN_NAME, RULE_KINDS, Suite, Text

__all__ = ["SCHEMA_ID", "SuiteFile", "file_schema"]

SCHEMA_ID = "urn:evalharness:suite:1"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_PLACEHOLDER = {"type": "string", "pattern": r"^\$\{vars\.[A-Za-z_][A-Za-z0-9_-]*\}$"}
# Keys whose value tells which kind of thing it is; a placeholder there would leave that open.
_FIXED = frozenset({"version", "backend", "id", "name", "extends", "vars", "matrix"})
# What a model validator holds, said in JSON Schema.
_ONE_OF: dict[str, list[list[str]]] = {
    "Dataset": [["path"], ["rows"], ["hf"]],
    "Rule": [[kind] for kind in RULE_KINDS],
    "MessageTemplate": [["role", "content"], ["history"]],
    "PromptTask": [["prompt"], ["messages"]],
}


class SuiteFile(Suite):
    """A suite file of evalharness: what is evaluated, on what, how it is scored, and what a release must fulfil."""

    extends: Text | Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        None, description="Suite files that this one changes, as paths from this file; later files win."
    )
    vars: dict[str, JsonValue] = Field(
        default_factory=dict, description="Values for ${vars.NAME} in any text of the suite."
    )
    matrix: dict[str, Annotated[tuple[JsonValue, ...], Field(min_length=1)]] = Field(
        default_factory=dict,
        description="Variants of models and tasks: the path of what varies, such as candidate.generate.temperature, "
        "to its values.",
    )


def file_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of suite files.

    A file with `extends` may leave out whatever the files that it extends say.
    """
    schema: dict[str, Any] = SuiteFile.model_json_schema(mode="validation")
    definitions: dict[str, Any] = schema.pop("$defs")
    schema.pop("title", None)
    for definition in (schema, *definitions.values()):
        _strip_titles(definition)
    _own_names(schema, definitions)
    definitions["PluginModel"]["properties"]["backend"]["not"] = {"enum": list(BACKENDS)}
    for definition in (schema, *definitions.values()):
        _widen(definition)
    partial = {f"{name}Part": _partial(definition) for name, definition in definitions.items()}
    # Options of a probe may have any name: only the key that tells it from other tasks keeps slips in these apart.
    partial["ProbeTaskPart"]["required"] = ["probe"]
    whole, part = copy.deepcopy(schema), _partial(schema)
    for name, groups in _ONE_OF.items():
        definitions[name]["oneOf"] = [{"required": group} for group in groups]
    definitions |= partial | {"Placeholder": _PLACEHOLDER}
    return {
        "$schema": _DIALECT,
        "$id": SCHEMA_ID,
        "title": "evalharness suite",
        "description": whole.pop("description", ""),
        "type": "object",
        # Editors complete keys from `properties`; the two branches say what may stand under them.
        "properties": {name: _named(value, definitions) for name, value in whole["properties"].items()},
        "if": {"required": ["extends"]},
        "then": part,
        "else": whole,
        "$defs": definitions,
    }


def _named(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    # Pydantic leaves a description out where the model's own says the same.
    names = [option["$ref"].rpartition("/")[2] for option in schema.get("anyOf", ()) if "$ref" in option]
    text = schema.get("description") or next((definitions[name].get("description") for name in names), "")
    return {"description": text} if text else {}


def _strip_titles(definition: dict[str, Any]) -> None:
    """Titles that pydantic makes of the names of keys say nothing."""
    definition.pop("title", None)
    for value in definition.get("properties", {}).values():
        value.pop("title", None)
    for value in definition.get("anyOf", ()):
        _strip_titles(value)


def _own_names(schema: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Names with @ are for the variants that `matrix` makes."""
    for key in ("models", "datasets"):
        named = schema["properties"][key]
        (values,) = named.pop("patternProperties").values()
        named |= {"propertyNames": {"pattern": PLAIN_NAME}, "additionalProperties": values}
    for name in (
        "PromptTask",
        "ClassifyTask",
        "PerplexityTask",
        "LmEvalTask",
        "ProbeTask",
        "ExplainTask",
        "AttackTask",
    ):
        definitions[name]["properties"]["id"]["pattern"] = PLAIN_NAME


def _widen(definition: dict[str, Any]) -> None:
    """Let `${vars.NAME}` stand for any value, and null for any that may be left out."""
    for part in definition.get("anyOf", ()):
        _widen(part)
    required = definition.get("required", ())
    for key, value in definition.get("properties", {}).items():
        if key in _FIXED or value == {} or ("type" not in value and not _choices(value)):
            continue
        more: list[dict[str, Any]] = []
        if not _takes_text(value):
            more.append({"$ref": "#/$defs/Placeholder"})
        if key not in required and {"type": "null"} not in _choices(value):
            more.append({"type": "null"})
        if more:
            about = {k: value.pop(k) for k in ("description", "default") if k in value}
            options = value["anyOf"] if set(value) == {"anyOf"} else [dict(value)]
            value.clear()
            value.update({"anyOf": [*options, *more], **about})


def _choices(value: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = value.get("anyOf", value.get("oneOf", []))
    return found or ([{"$ref": value["$ref"]}] if "$ref" in value else [])


def _takes_text(value: dict[str, Any]) -> bool:
    if value.get("type") == "string":
        return not {"pattern", "enum", "const"} & set(value)
    return any(_takes_text(part) for part in value.get("anyOf", ()))


def _partial(definition: dict[str, Any]) -> dict[str, Any]:
    """What a file that extends another one may say: any part, and null to take something away."""
    part = copy.deepcopy(definition)

    def walk(node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                walk(item)
        if not isinstance(node, dict):
            return
        node.pop("required", None)
        if "oneOf" in node:
            node["anyOf"] = node.pop("oneOf")
        reference = node.get("$ref", "")
        if reference.startswith("#/$defs/") and not reference.endswith("Placeholder"):
            node["$ref"] = f"{reference}Part"
        for key, value in node.items():
            if key != "default":
                walk(value)

    walk(part)
    if isinstance(part.get("properties", {}).get("models"), dict):
        _nullable(part["properties"])
    return part


def _nullable(properties: dict[str, Any]) -> None:
    for key in ("models", "datasets"):
        for option in (properties[key], *properties[key].get("anyOf", ())):
            values = option.get("additionalProperties")
            if values is not None:
                option["additionalProperties"] = {"anyOf": [values, {"type": "null"}]}
