"""The reference of the suite language, made from the schema: `python -m evalharness.suite.reference > FILE`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from . import (
    alert_entry,
    label_entry,
    matrix,
    merge,
    monitor_entry,
    otel_entry,
    schema,
    settings,
    source_entry,
    variables,
)
from .kinds import CAPABILITIES
from .metric_specs import OPERATIONAL
from .suite_file import SuiteFile

__all__ = ["reference"]

_HEAD = """\
# Suite reference

Every key that a suite may have. This page is made from the schema by `python -m evalharness.suite.reference`; a test
holds that it is current. `evalharness schema` prints the same as JSON Schema for editors, and `evalharness validate`
checks a suite with the line and column of every fault.

A suite is one YAML document of text, numbers, booleans, null, lists and mappings. Keys that are not listed here are
refused, and so are keys given twice, tags, and words that readers of YAML understand differently: `yes`, `no`, `on`,
`off`, dates, `012`, `1_000` and `12:30` need quotes, or must be written as `true`, `false` or plain decimal numbers.
A value of null is the same as leaving the key out.

Prompts, choices, references and targets are templates in the language of Jinja over the fields of a row, in a
sandbox. A field that is missing is an error, and so is writing a null (say `{{ x or '' }}`). A template that is exactly
one `{{ expression }}` keeps the type of its value, which is how lists of choices or references are given. One trailing
line end is dropped; `tojson` writes JSON as it is, unescaped.

Relative paths start from the folder of the file that names them.
"""

_SECTIONS: tuple[tuple[str, tuple[type[BaseModel], ...]], ...] = (
    ("Top level", (SuiteFile,)),
    (
        "Models",
        (
            schema.HfModel,
            schema.OpenAIModel,
            schema.AnthropicModel,
            schema.HttpModel,
            schema.PythonModel,
            schema.ReplayModel,
            schema.FakeModel,
            schema.PluginModel,
        ),
    ),
    ("Generation", (schema.Generation,)),
    ("Price", (schema.Price,)),
    ("Datasets", (schema.Dataset,)),
    (
        "Tasks",
        (
            schema.PromptTask,
            schema.ClassifyTask,
            schema.PerplexityTask,
            schema.LmEvalTask,
            schema.ProbeTask,
            schema.ExplainTask,
            schema.ExplanationQuality,
            schema.AttackTask,
        ),
    ),
    ("Prompts", (schema.PromptFile, schema.MessageTemplate, schema.FewShot)),
    ("Execution", (schema.Execution, schema.Batching, schema.OnError, schema.StopWhenDecided)),
    ("Gates", (schema.Gates, schema.BaselineModel, schema.Rule, schema.Margin)),
    (
        "Monitor",
        (
            monitor_entry.Monitor,
            source_entry.Source,
            source_entry.RedactPattern,
            monitor_entry.RunReference,
            monitor_entry.WindowReference,
            monitor_entry.PathReference,
            monitor_entry.DriftSettings,
            monitor_entry.DriftRule,
            monitor_entry.ScoreSpec,
            label_entry.Labels,
            monitor_entry.Canary,
            monitor_entry.Anchor,
            monitor_entry.OnDrift,
        ),
    ),
    (
        "Alerts",
        (
            alert_entry.Alerts,
            alert_entry.AlertRule,
            alert_entry.Channel,
            alert_entry.Heartbeat,
            otel_entry.OtelEvents,
        ),
    ),
)
_TITLES = {
    "SuiteFile": "",
    "HfModel": "hf-causal, hf-seq2seq, hf-classifier, hf-masked",
    "OpenAIModel": "openai",
    "AnthropicModel": "anthropic",
    "HttpModel": "http",
    "PythonModel": "python",
    "ReplayModel": "replay",
    "FakeModel": "fake",
    "PluginModel": "installed plug-ins",
    "Generation": "",
    "Price": "",
    "Dataset": "",
    "PromptTask": "With a prompt, or messages",
    "ClassifyTask": "With classify",
    "PerplexityTask": "With perplexity",
    "LmEvalTask": "With lm_eval",
    "ProbeTask": "With probe",
    "ExplainTask": "With explain",
    "ExplanationQuality": "quality",
    "AttackTask": "With attack",
    "PromptFile": "A prompt in a file",
    "MessageTemplate": "A message",
    "FewShot": "few_shot",
    "Execution": "",
    "Batching": "batch",
    "OnError": "on_error",
    "StopWhenDecided": "stop_when_decided",
    "Gates": "",
    "BaselineModel": "A model as the baseline",
    "Rule": "A rule",
    "Margin": "A margin",
    "Monitor": "",
    "Source": "source",
    "RedactPattern": "A pattern of one's own, under redact",
    "RunReference": "A run as the reference",
    "WindowReference": "A window as the reference",
    "PathReference": "Files as the reference",
    "DriftSettings": "drift",
    "DriftRule": "A rule of drift",
    "ScoreSpec": "A score",
    "Labels": "labels",
    "Canary": "canary",
    "Anchor": "anchor",
    "OnDrift": "on_drift",
    "Alerts": "",
    "AlertRule": "A rule on a figure",
    "Channel": "A channel",
    "Heartbeat": "heartbeat",
    "OtelEvents": "otel",
}
_INTRO = {
    "Models": "`models` maps a name to a model; `backend` says which of these it is. Names have letters, digits, `_` "
    "and `-`.",
    "Generation": "Under `generate` of a task or a model; a model's settings win over a task's.",
    "Price": "Under `price` of a model; see [cost and budgets](cost.md).",
    "Datasets": "`datasets` maps a name to a dataset. In this order: new `fields`, `where`, ids, groups and cluster, "
    "`shuffle`, `limit`.",
    "Tasks": "`tasks` is a list. A task generates text, or with `choices` picks the likeliest answer, or classifies, "
    "or measures the likelihood of whole texts, or with `lm_eval` is one of lm-evaluation-harness, or with `probe` "
    "looks for bias and the like, with `explain` tells why a model answers another task as it does, or with "
    "`attack` turns its answers round. Every task has these figures without being asked, as far as its requests have "
    "them: " + ", ".join(f"`{name}`" for name in OPERATIONAL) + ".",
}
_INTRO |= {
    "Monitor": "Under `monitor` of a suite, or at the top of a file of its own, which names its `suite` where it uses "
    "one; see [monitoring](monitoring.md).",
    "Alerts": "Under `alerts` of a monitor; see [alerts](alerts.md).",
}
_CHAPTERS = (
    ("extends", merge),
    ("vars and env", variables),
    ("matrix", matrix),
    ("--set", settings),
)


def reference() -> str:
    """The page, as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    for title, models in _SECTIONS:
        yield f"## {title}\n"
        if title in _INTRO:
            yield _INTRO[title] + "\n"
        if title == "Models":
            yield from _capabilities()
        for model in models:
            yield from _model(model)
    for title, module in _CHAPTERS:
        text = inspect.cleandoc(module.__doc__ or "")
        yield f"## {title}\n\n{text}\n"


def _capabilities() -> Iterator[str]:
    kinds = ("generate", "loglikelihood", "loglikelihood_rolling", "classify")
    yield "| backend | " + " | ".join(("prompts", "choices", "perplexity", "classify")) + " |"
    yield "|---|" + "---|" * len(kinds)
    for backend, can in CAPABILITIES.items():
        # Only one of OpenAI's endpoints tells log-probabilities of what it reads.
        scored = "with `api: completions`" if backend == "openai" else "yes"
        if backend == "http":
            scored = "with `kind: classify`"
        cells = [("yes" if kind == "generate" else scored) if kind in can else "" for kind in kinds]
        yield f"| {backend} | " + " | ".join(cells) + " |"
    yield "| python | by its `kind` | by its `kind` | | by its `kind` |\n"


def _model(model: type[BaseModel]) -> Iterator[str]:
    title = _TITLES[model.__name__]
    if title:
        yield f"### {title}\n"
    yield " ".join(inspect.cleandoc(model.__doc__ or "").split()) + "\n"
    found = model.model_json_schema(mode="validation")
    # on_error and stop_when_decided have a short form beside its keys.
    found = next((option for option in found.get("anyOf", ()) if "properties" in option), found)
    required = set(found.get("required", ()))
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for key, field in model.model_fields.items():
        value = found["properties"][key]
        default = "**required**" if key in required else _default(value, field.get_default(call_default_factory=True))
        yield f"| `{key}` | {_cell(_kind(value))} | {default} | {_cell(field.description or '')} |"
    yield ""


def _default(value: dict[str, Any], default: Any) -> str:
    if isinstance(default, BaseModel) or default in (None, (), {}):
        return ""
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


_NAMES = {
    "Generation": "[generation](#generation)",
    "Price": "[price](#price)",
    "FewShot": "[few_shot](#few_shot)",
    "ExplanationQuality": "[quality](#quality)",
    "PromptFile": "[{file: …}](#a-prompt-in-a-file)",
    "MessageTemplate": "[message](#a-message)",
    "OnError": "[on_error](#on_error)",
    "Batching": "[batch](#batch)",
    "StopWhenDecided": "[stop_when_decided](#stop_when_decided)",
    "Execution": "[execution](#execution)",
    "Gates": "[gates](#gates)",
    "Rule": "[rule](#a-rule)",
    "Margin": "[{margin: …}](#a-margin)",
    "BaselineModel": "[{model: …}](#a-model-as-the-baseline)",
    "Dataset": "[dataset](#datasets)",
    "JsonValue": "any",
}


def _kind(value: dict[str, Any]) -> str:
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return _NAMES.get(name, "[task](#tasks)" if name.endswith("Task") else "[model](#models)")
    for key in ("anyOf", "oneOf"):
        if key in value:
            kinds = [_kind(part) for part in value[key] if part != {"type": "null"}]
            return " or ".join(dict.fromkeys(kinds))
    if "enum" in value or "const" in value:
        return " \u00b7 ".join(f"`{_word(option)}`" for option in value.get("enum", [value.get("const")]))
    match value.get("type"):
        case "array":
            return f"list of {_kind(value.get('items', {}))}"
        case "object":
            inner = value.get("additionalProperties") or next(iter(value.get("patternProperties", {}).values()), None)
            return f"mapping to {_kind(inner)}" if isinstance(inner, dict) and inner else "mapping"
        case "integer" | "number" as name:
            return ("whole number" if name == "integer" else "number") + _range(value)
        case "boolean":
            return "true or false"
        case "string":
            return "text"
    return "any"


def _word(option: Any) -> str:
    return option if isinstance(option, str) else json.dumps(option)


def _range(value: dict[str, Any]) -> str:
    low, above = value.get("minimum"), value.get("exclusiveMinimum")
    high, below = value.get("maximum"), value.get("exclusiveMaximum")
    parts = [
        f"\u2265 {low:g}" if low is not None else f"> {above:g}" if above is not None else "",
        f"\u2264 {high:g}" if high is not None else f"< {below:g}" if below is not None else "",
    ]
    return "".join(f" {part}" for part in parts if part)


if __name__ == "__main__":
    print(reference(), end="")
