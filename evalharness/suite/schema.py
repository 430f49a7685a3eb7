"""The suite language, version 1: the authority on every key that a suite may carry.

Unknown keys are refused everywhere. Field descriptions are the reference documentation: `evalharness schema` prints
them as JSON Schema and `docs/suite-reference.md` is generated from them.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    WithJsonSchema,
    model_validator,
)

from evalharness.core.registry import suggestion

__all__ = [
    "BACKENDS",
    "AnthropicModel",
    "ClassifyTask",
    "DataTask",
    "Dataset",
    "Execution",
    "FakeModel",
    "FewShot",
    "Gates",
    "Generation",
    "HfModel",
    "HttpModel",
    "LmEvalTask",
    "MessageTemplate",
    "MetricSpec",
    "ModelSpec",
    "OnError",
    "OpenAIModel",
    "PerplexityTask",
    "PluginModel",
    "Price",
    "PromptFile",
    "PromptTask",
    "PythonModel",
    "ReplayModel",
    "Rule",
    "Suite",
    "Task",
    "class_of_backend",
    "class_of_task",
]

PLAIN_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
Name = Annotated[str, Field(pattern=PLAIN_NAME)]
# A model or task; `matrix` makes variants of them, whose names have an @: candidate@temperature=0.7.
VariantName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}(@[^\s@]+)?$")]
Template: TypeAlias = str
Text = Annotated[str, Field(min_length=1)]
Gpu = Annotated[str, Field(pattern=r"^cuda:\d+$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _check_regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return pattern


def _check_version(value: Any) -> Any:
    # Python takes 1.0 and True for 1.
    if isinstance(value, bool | float):
        raise ValueError(f"must be 1, but is {str(value).lower()}")
    return value


def _check_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except (LookupError, ValueError):
        raise ValueError(f"there is no encoding {name[:40]!r}; try utf-8, latin-1 or cp1252") from None
    return name


def _distinct(devices: tuple[str, ...]) -> tuple[str, ...]:
    if twice := next((device for device in devices if devices.count(device) > 1), None):
        raise ValueError(f"names {twice} twice; a second copy there would only wait for the first")
    return devices


def _only_with(given: set[str], keys: tuple[str, ...], needed: str) -> None:
    extra = [key for key in keys if key in given]
    if extra:
        verb = "has" if len(extra) == 1 else "have"
        raise ValueError(f"{' and '.join(extra)} {verb} no effect without {needed}; remove it")


class Strict(BaseModel):
    """Frozen, and no key but the declared ones."""

    # Built when first used, as one whole: building each model on its own takes twice as long.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


# ── generation ────────────────────────────────────────────────────────────────────────────────────────────────────


class Generation(Strict):
    """How text is generated."""

    max_tokens: int | None = Field(None, ge=1, description="Most tokens to generate (default 256).")
    temperature: float | None = Field(None, ge=0, description="0 is greedy decoding (default 0).")
    top_p: float | None = Field(None, gt=0, le=1, description="Nucleus sampling.")
    top_k: int | None = Field(None, ge=1, description="Sample from the k likeliest tokens.")
    stop: tuple[Text, ...] | None = Field(None, description="Strings that end the output; not part of it.")
    seed: int | None = Field(None, ge=0, description="Seed of sampling (default: the suite's seed).")
    repeats: int | None = Field(None, ge=1, le=1000, description="Answers asked for each sample (default 1).")
    json_schema: dict[str, JsonValue] | Text | None = Field(
        None,
        description="JSON Schema that the output must obey, here or in a JSON file beside the suite; for servers that "
        "can hold a model to it (openai: chat, responses).",
    )


# ── models ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Price(Strict):
    """What a model's tokens cost, in US dollars per million."""

    input: float = Field(ge=0, description="A million tokens of prompts.")
    output: float = Field(ge=0, description="A million tokens of answers, reasoning included.")
    cached_input: float | None = Field(
        None, ge=0, description="A million tokens of prompts that the server had cached (default: as `input`)."
    )


class _Model(Strict):
    generate: Generation | None = Field(
        None, description="Generation settings of this model; they win over those of a task."
    )
    price: Price | None = Field(
        None,
        description="What its tokens cost (default: what the price file says of its address and name, if anything).",
    )


class HfModel(_Model):
    """A Hugging Face checkpoint, run here on GPU or CPU."""

    backend: Literal["hf-causal", "hf-seq2seq", "hf-classifier", "hf-masked"] = Field(
        description="Causal language model, encoder-decoder, sequence classifier or masked language model."
    )
    path: Text = Field(description="A local folder, a hub name, or catalog:NAME for one that `fetch-model` made.")
    revision: str | None = Field(None, description="Branch, tag or commit of a hub name.")
    tokenizer: str | None = Field(None, description="Path or hub name of the tokenizer, if not the model's own.")
    dtype: Literal["auto", "checkpoint", "float32", "float16", "bfloat16"] = Field(
        "auto",
        description="`auto` takes the checkpoint's own on a GPU and float32 on a CPU; `checkpoint` its own anywhere.",
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:1, mps.")
    devices: Literal["all"] | Annotated[tuple[Gpu, ...], Field(min_length=1), AfterValidator(_distinct)] | None = Field(
        None,
        description="A copy of the model on each of these GPUs, `all` or [cuda:0, cuda:1]; they share the requests.",
    )
    device_map: Literal["auto", "balanced", "sequential"] | None = Field(
        None, description="Spread the weights over all GPUs, for a model that does not fit on one (see accelerate)."
    )
    adapter: str | None = Field(None, description="Path or hub name of a PEFT adapter put on top of the model.")
    quantization: dict[str, JsonValue] | None = Field(
        None,
        description="Quantisation config of transformers, with its `quant_method` (bitsandbytes, torchao …).",
    )
    add_bos: bool | None = Field(
        None, description="Begin texts with the BOS token, or do not (default: as the tokenizer is set up)."
    )
    trust_remote_code: bool = Field(
        False, description="Run Python code that the checkpoint carries; needs --allow-code."
    )
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto", description="Requests a batch; `auto` backs off when memory ends."
    )
    max_length: int | None = Field(None, ge=8, description="Longest input in tokens (default: the model's own).")
    padding_side: Literal["left", "right"] | None = Field(
        None,
        description="Side of padding for likelihoods (default: right); results do not depend on it.",
    )
    labels: tuple[Text, ...] | None = Field(
        None, description="hf-classifier: names of the labels, in order (default: the checkpoint's id2label)."
    )
    threshold: float = Field(0.5, gt=0, lt=1, description="hf-classifier, multi-label: a label is given above it.")

    @model_validator(mode="after")
    def _labels_of_classifiers(self) -> HfModel:
        if self.backend != "hf-classifier":
            _only_with(self.model_fields_set, ("labels", "threshold"), "the backend hf-classifier")
        return self

    @model_validator(mode="after")
    def _one_way_of_placing(self) -> HfModel:
        given = {"device": self.device != "auto", "devices": self.devices, "device_map": self.device_map}
        named = [key for key, value in given.items() if value]
        if len(named) > 1:
            raise ValueError(f"give one of {', '.join(given)}, not {' and '.join(named)}")
        return self


class OpenAIModel(_Model):
    """Any server that speaks the OpenAI interface (OpenAI, vLLM, llama.cpp, `transformers serve` …)."""

    backend: Literal["openai"] = Field(description="A server that speaks the OpenAI interface.")
    model: Text = Field(description="Name of the model as the server knows it.")
    base_url: Text = Field("https://api.openai.com/v1", description="Address up to and with /v1.")
    api_key: str | None = Field(None, description="Key, as ${env:NAME}.")
    api: Literal["chat", "completions", "responses"] = Field(
        "chat", description="Which endpoint is asked; only completions can score likelihoods."
    )
    likelihood: Literal["echo", "prompt_logprobs"] = Field(
        "echo",
        description="completions: how log-probabilities of a prompt are asked for, by `echo` with `logprobs`, or by "
        "vLLM's own field.",
    )
    first_token: Text | None = Field(
        None,
        description="completions: the text of the BOS or EOS token, put before a text that has nothing before it, for "
        "servers that put none there; likelihoods of whole texts need one.",
    )
    split_thinking: bool = Field(
        True,
        description="Part the reasoning that stands in the text, <think>…</think> at its beginning, from the answer.",
    )
    headers: dict[str, str] = Field(default_factory=dict, description="Further headers.")
    extra_body: dict[str, JsonValue] = Field(default_factory=dict, description="Further fields of the request body.")
    stream: bool = Field(False, description="Read answers as they are made; records the time to the first token.")
    timeout_s: float = Field(60.0, gt=0, description="Longest wait for one answer.")
    max_retries: int = Field(5, ge=0, le=100, description="Tries again after 429, 5xx, timeouts and lost connections.")
    concurrency: int | None = Field(None, ge=1, description="Most requests in flight (default: execution.concurrency).")
    requests_per_minute: float | None = Field(None, gt=0, description="Send no more than this (default: no limit).")
    tokens_per_minute: float | None = Field(
        None, gt=0, description="Send no more than this, by estimate and then by the reply's usage (default: no limit)."
    )
    deadline_s: float | None = Field(
        None, gt=0, description="Longest time for one request with all its tries (default: no limit)."
    )

    @model_validator(mode="after")
    def _likelihoods_of_completions(self) -> OpenAIModel:
        if self.api != "completions":
            _only_with(self.model_fields_set, ("likelihood", "first_token"), "api: completions")
        return self


class AnthropicModel(_Model):
    """Anthropic's messages API, or a server that speaks it."""

    backend: Literal["anthropic"] = Field(description="A server that speaks Anthropic's messages API.")
    model: Text = Field(description="Name of the model as the server knows it.")
    base_url: Text = Field("https://api.anthropic.com", description="Address without /v1.")
    api_key: str | None = Field(
        "${env:ANTHROPIC_API_KEY}", description='Key, as ${env:NAME}; "" where the server needs none.'
    )
    api_version: Text = Field("2023-06-01", description="Version of the API; part of the identity.")
    headers: dict[str, str] = Field(default_factory=dict, description="Further headers.")
    extra_body: dict[str, JsonValue] = Field(default_factory=dict, description="Further fields of the request body.")
    stream: bool = Field(False, description="Read answers as they are made; records the time to the first token.")
    timeout_s: float = Field(60.0, gt=0, description="Longest wait for one answer.")
    max_retries: int = Field(5, ge=0, le=100, description="Tries again after 429, 5xx, timeouts and lost connections.")
    concurrency: int | None = Field(None, ge=1, description="Most requests in flight (default: execution.concurrency).")
    requests_per_minute: float | None = Field(None, gt=0, description="Send no more than this (default: no limit).")
    tokens_per_minute: float | None = Field(
        None, gt=0, description="Send no more than this, by estimate and then by the reply's usage (default: no limit)."
    )
    deadline_s: float | None = Field(
        None, gt=0, description="Longest time for one request with all its tries (default: no limit)."
    )

    @model_validator(mode="after")
    def _no_seed(self) -> AnthropicModel:
        if self.generate is not None and self.generate.seed is not None:
            raise ValueError("generate.seed has no effect here: the messages API takes no seed; remove it")
        return self


def _default_body() -> JsonValue:
    return {"prompt": "{{ prompt }}"}


class HttpModel(_Model):
    """Any JSON endpoint, such as the classic /ask of a Flask app."""

    backend: Literal["http"] = Field(description="A JSON endpoint.")
    url: Text = Field(description="Address that is asked.")
    method: Literal["GET", "POST", "PUT"] = Field("POST", description="HTTP method.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers; secrets as ${env:NAME}.")
    body: JsonValue = Field(
        default_factory=_default_body,
        description="JSON body; strings are templates over prompt, messages, sampling and sample_id.",
    )
    response: Text = Field("text", description="Where the answer stands in the JSON that comes back: `choices.0.text`.")
    stream: bool = Field(
        False,
        description="The answer comes in events (server-sent events or JSON lines) or as text; `response` says where "
        "a piece stands in each event. Records the time to the first one.",
    )
    stream_end: Text | None = Field(
        None,
        description="Where an event has something true if it is the last: `done` (default: as HTTP or [DONE] says).",
    )
    timeout_s: float = Field(60.0, gt=0, description="Longest wait for one answer.")
    max_retries: int = Field(5, ge=0, le=100, description="Tries again after 429, 5xx, timeouts and lost connections.")
    concurrency: int | None = Field(None, ge=1, description="Most requests in flight (default: execution.concurrency).")
    requests_per_minute: float | None = Field(None, gt=0, description="Send no more than this (default: no limit).")
    tokens_per_minute: float | None = Field(
        None, gt=0, description="Send no more than this, by estimate and then by the reply's usage (default: no limit)."
    )
    deadline_s: float | None = Field(
        None, gt=0, description="Longest time for one request with all its tries (default: no limit)."
    )
    version: str | None = Field(None, description="What you call the version behind the address; part of the identity.")

    @model_validator(mode="after")
    def _end_of_streams(self) -> HttpModel:
        if not self.stream:
            _only_with(self.model_fields_set, ("stream_end",), "stream: true")
        return self


class PythonModel(_Model):
    """A Python function; runs only with --allow-code."""

    backend: Literal["python"] = Field(description="A Python function.")
    function: str = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$",
        description="`module:function`, found from the suite's folder; called with the prompt (str or list of turns).",
    )
    kind: Literal["generate", "loglikelihood", "classify"] = Field(
        "generate",
        description="generate: returns a str; classify: {label: probability}; loglikelihood: called with "
        "(prompt, continuations), returns one float each.",
    )
    options: dict[str, JsonValue] = Field(default_factory=dict, description="Keyword arguments of each call.")
    version: str | None = Field(None, description="Part of the identity, with the digest of the module's source.")


class ReplayModel(_Model):
    """Outputs that exist already, from a file: one row a sample, found by its id."""

    backend: Literal["replay"] = Field(description="Outputs from a file.")
    path: Text = Field(description="JSONL, CSV, TSV or Parquet file.")
    id: Text = Field("id", description="Column with the sample id.")
    output: Text = Field("output", description="Column with the output text (a label, for classify tasks).")
    sha256: Sha256 | None = Field(None, description="Digest that the file must have.")


class FakeModel(_Model):
    """A scripted model for trying a suite out: no weights, no network."""

    backend: Literal["fake"] = Field(description="A scripted model.")
    reply: Template = Field("{{ prompt }}", description="Template of the answer over prompt and sample_id.")


class PluginModel(_Model):
    """A backend that an installed package registers under the entry point `evalharness.models`."""

    backend: Text = Field(description="Name of the entry point.")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="Handed to the backend as they are.")


_BACKEND_CLASSES: dict[str, str] = {
    "hf-causal": "hf",
    "hf-seq2seq": "hf",
    "hf-classifier": "hf",
    "hf-masked": "hf",
    "openai": "openai",
    "anthropic": "anthropic",
    "http": "http",
    "python": "python",
    "replay": "replay",
    "fake": "fake",
}
BACKENDS: tuple[str, ...] = tuple(_BACKEND_CLASSES)


def _backend_tag(value: Any) -> str:
    backend = value.get("backend") if isinstance(value, Mapping) else getattr(value, "backend", None)
    return _BACKEND_CLASSES.get(backend, "plugin") if isinstance(backend, str) else "plugin"


def class_of_task(keys: Collection[str]) -> type[_AnyTask]:
    """The schema of a task that has these keys."""
    classes: dict[str, type[_AnyTask]] = {
        "lm_eval": LmEvalTask,
        "classify": ClassifyTask,
        "perplexity": PerplexityTask,
    }
    return classes.get(_task_tag(dict.fromkeys(keys)), PromptTask)


def class_of_backend(backend: str) -> type[_Model]:
    """The schema of the models of `backend`; that of plug-ins for any name that is not built in."""
    classes: dict[str, type[_Model]] = {
        "hf": HfModel,
        "openai": OpenAIModel,
        "anthropic": AnthropicModel,
        "http": HttpModel,
        "python": PythonModel,
        "replay": ReplayModel,
        "fake": FakeModel,
    }
    return classes.get(_BACKEND_CLASSES.get(backend, ""), PluginModel)


ModelSpec: TypeAlias = Annotated[
    Annotated[HfModel, Tag("hf")]
    | Annotated[OpenAIModel, Tag("openai")]
    | Annotated[AnthropicModel, Tag("anthropic")]
    | Annotated[HttpModel, Tag("http")]
    | Annotated[PythonModel, Tag("python")]
    | Annotated[ReplayModel, Tag("replay")]
    | Annotated[FakeModel, Tag("fake")]
    | Annotated[PluginModel, Tag("plugin")],
    Discriminator(_backend_tag),
]


# ── datasets ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Dataset(Strict):
    """Where samples come from: exactly one of `path`, `rows` and `hf`."""

    path: Text | None = Field(None, description="JSONL, CSV, TSV, JSON or Parquet file, or catalog:NAME.")
    rows: Annotated[tuple[dict[str, JsonValue], ...], Field(min_length=1)] | None = Field(
        None, description="Rows written in the suite itself."
    )
    hf: Text | None = Field(None, description="Hugging Face `datasets` name, or a local path saved by it.")
    config: str | None = Field(None, description="hf: name of the configuration.")
    split: str | None = Field(None, description="hf: split (default: test, else the only one).")
    revision: str | None = Field(None, description="hf: branch, tag or commit.")
    format: Literal["auto", "jsonl", "json", "csv", "tsv", "parquet"] = Field(
        "auto", description="By the file's ending."
    )
    encoding: Annotated[str, AfterValidator(_check_encoding)] = Field("utf-8", description="Encoding of a text file.")
    sha256: Sha256 | None = Field(None, description="Digest that the file must have; a changed file is refused.")
    id: str | None = Field(
        None,
        description="Column with the sample id (default: `id` if every row has it, else a digest of the row).",
    )
    cluster: str | None = Field(
        None, description="Column that names what samples belong together (customer, document)."
    )
    groups: tuple[Text, ...] = Field((), description="Columns whose values get figures of their own.")
    fields: dict[str, Template] = Field(default_factory=dict, description="New columns, each a template over the row.")
    where: str | None = Field(
        None, description="Keep the rows for which this Jinja expression is true: language == 'de'."
    )
    shuffle: int | None = Field(None, ge=0, description="Shuffle with this seed, after `where` and before `limit`.")
    limit: int | None = Field(None, ge=1, description="Keep the first rows.")

    @model_validator(mode="after")
    def _one_source(self) -> Dataset:
        given = [k for k in ("path", "rows", "hf") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of path, rows and hf; given: {', '.join(given) or 'none'}")
        if self.hf is None:
            _only_with(self.model_fields_set, ("config", "split", "revision"), "hf")
        if self.path is None:
            _only_with(self.model_fields_set, ("format", "encoding"), "path")
        return self


# ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class PromptFile(Strict):
    """A template in a file beside the suite."""

    file: Text = Field(description="Path of the template, from the suite's folder.")


class MessageTemplate(Strict):
    """One turn of a chat, or a list of turns from the data."""

    role: Literal["system", "user", "assistant"] | None = Field(None, description="Who speaks.")
    content: Template | PromptFile | None = Field(None, description="Template of what is said.")
    history: str | None = Field(
        None,
        description="Instead of role and content: an expression that gives a list of {role, content} turns.",
    )

    @model_validator(mode="after")
    def _turn_or_history(self) -> MessageTemplate:
        turn = self.role is not None and self.content is not None
        if (self.history is not None) == turn or (self.history is not None and (self.role or self.content)):
            raise ValueError("give either role and content, or history")
        return self


class FewShot(Strict):
    """Worked examples put before the question, from a dataset of their own."""

    dataset: Name = Field(description="Dataset that the examples are drawn from.")
    n: int = Field(ge=1, le=1000, description="How many.")
    draw: Literal["first", "once", "per_sample"] = Field(
        "first", description="The first n; n drawn once for all samples; or n drawn anew for each sample."
    )
    seed: int = Field(0, ge=0, description="Seed of the draw.")
    separator: str = Field("\n\n", description="Between examples (prompt text; chat tasks use turns).")
    answer: Template | None = Field(
        None, description="Template of an example's answer (default: the task's reference, or its target)."
    )


_MetricOptions: TypeAlias = dict[str, dict[str, JsonValue] | Text | None]


def _one_metric(spec: _MetricOptions) -> _MetricOptions:
    if len(spec) != 1:
        raise ValueError("must be one name with its options: {bleu: {lowercase: true}}")
    return spec


MetricSpec: TypeAlias = (
    Text
    | Annotated[
        _MetricOptions,
        AfterValidator(_one_metric),
        WithJsonSchema(
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": {"type": ["object", "string", "null"]},
            }
        ),
    ]
)


class _AnyTask(Strict):
    id: VariantName = Field(description="Name of the task, unique in the suite.")
    model: VariantName | Annotated[tuple[VariantName, ...], Field(min_length=1)] | None = Field(
        None, description="Which model or models (default: all of them)."
    )


class _Task(_AnyTask):
    dataset: Name = Field(description="Which dataset it runs on.")
    metrics: tuple[MetricSpec, ...] = Field(
        (),
        description="Names, or {name: {option: value}}; `as` in the options renames the figure. {evaluate: PATH} is "
        "short for {evaluate: {path: PATH}}.",
    )
    groups: tuple[Text, ...] | None = Field(None, description="Group columns (default: the dataset's).")
    limit: int | None = Field(None, ge=1, description="Use only the first samples of the dataset.")


class PromptTask(_Task):
    """Ask a model: free text, or with `choices` one of several answers, by default the likeliest."""

    prompt: Template | PromptFile | None = Field(None, description="Template of the prompt.")
    messages: Annotated[tuple[MessageTemplate, ...], Field(min_length=1)] | None = Field(
        None, description="Chat turns, instead of `prompt`."
    )
    chat: bool | None = Field(
        None, description="Apply the model's chat template (default: yes for messages, no for prompt)."
    )
    choices: Annotated[tuple[Template, ...], Field(min_length=2)] | Template | None = Field(
        None,
        description="The answers to choose from: templates, or one expression that gives a list.",
    )
    choice_by: Literal["likelihood", "generation"] = Field(
        "likelihood",
        description="The likeliest of the choices; or the one that the generated text names, for models that tell no "
        "likelihoods. Figures of the two are never comparable.",
    )
    delimiter: str = Field(
        " ", description="Put between prompt and choice (part of what is scored), and before the answers of examples."
    )
    normalize: Literal["none", "tokens", "bytes"] = Field(
        "none", description="Choose by log-likelihood, or by it per token or per UTF-8 byte of the choice."
    )
    few_shot: FewShot | None = Field(None, description="Worked examples before the question.")
    generate: Generation | None = Field(None, description="Generation settings.")
    reference: Template | Annotated[tuple[Template, ...], Field(min_length=1)] | None = Field(
        None, description="Gold text: a template, several, or one expression that gives a list."
    )
    target: Template | None = Field(
        None, description="Gold label; with `choices` or `labels`, one of them or its index from 0."
    )
    labels: tuple[Text, ...] | None = Field(None, description="The label set (default: choices, or all targets).")
    extract: Annotated[str, AfterValidator(_check_regex)] | None = Field(
        None,
        description="Regular expression that reads the answer from the output: its first group, else the match.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> PromptTask:
        if self.prompt is None and self.messages is None:
            raise ValueError("a task needs one of prompt, messages, classify and perplexity")
        if self.prompt is not None and self.messages is not None:
            raise ValueError("give either prompt or messages, not both")
        by_likelihood = self.choices is not None and self.choice_by == "likelihood"
        if by_likelihood and (self.generate is not None or self.extract is not None):
            raise ValueError(
                "choices are scored by likelihood: generate and extract have no effect there; remove them, or set "
                "`choice_by: generation`"
            )
        if not by_likelihood and self.normalize != "none":
            needed = "choices" if self.choices is None else "likelihoods (choice_by: likelihood)"
            raise ValueError(f"normalize has no effect without {needed}; remove it")
        if self.choices is None:
            _only_with(self.model_fields_set, ("choice_by",), "choices")
        if self.messages is not None and self.chat is False:
            raise ValueError("messages are chat turns: write the text under prompt to use no chat template")
        few_shot = self.few_shot
        if few_shot is not None and few_shot.answer is None and self.reference is None and self.target is None:
            raise ValueError("few_shot has no answers for its examples; give few_shot.answer, reference or target")
        return self


class ClassifyTask(_Task):
    """Classify a text with a model that gives label probabilities."""

    classify: Template = Field(description="Template of the text.")
    target: Template | None = Field(None, description="Gold label.")
    labels: tuple[Text, ...] | None = Field(None, description="The label set (default: all targets).")


class PerplexityTask(_Task):
    """Likelihood of whole texts."""

    perplexity: Template = Field(description="Template of the text.")


class LmEvalTask(_AnyTask):
    """A task, a group or a tag of lm-evaluation-harness, with its own documents, prompts, filters and metrics.

    Needs the extra `lm-eval`. The tasks of a group get figures under `id/name`, and the group's own stand under `id`.
    """

    lm_eval: Text = Field(description="What lm-eval calls it (`evalharness list lm-eval-tasks`), or a YAML file.")
    include_path: Text | Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        None, description="Folders with further tasks, from the suite's folder; they come before lm-eval's own."
    )
    num_fewshot: int | None = Field(
        None, ge=0, le=1000, description="Worked examples before each question (default: as the task says, else 0)."
    )
    limit: int | None = Field(None, ge=1, description="Use only the first documents of each task.")
    seed: int = Field(1234, ge=0, description="Seed of the draw of examples; the default is lm-eval's.")
    apply_chat_template: bool = Field(False, description="Put questions as chat turns, by the model's chat template.")
    fewshot_as_multiturn: bool | None = Field(
        None, description="With a chat template: examples are turns of their own (default), or part of the question."
    )
    system_instruction: str | None = Field(None, description="Text before everything else.")
    generate: Generation | None = Field(
        None, description="Generation settings that win over the task's own; a model's settings win over both."
    )
    groups: tuple[Text, ...] = Field((), description="Columns of the documents whose values get figures of their own.")
    metadata: dict[str, JsonValue] = Field(
        default_factory=dict, description="Handed to the task as lm-eval's `--metadata` is."
    )

    @property
    def metrics(self) -> tuple[MetricSpec, ...]:
        """Its metrics are those that lm-eval's task has."""
        return ()

    @property
    def include_paths(self) -> tuple[str, ...]:
        """`include_path` as a list."""
        if self.include_path is None:
            return ()
        return (self.include_path,) if isinstance(self.include_path, str) else self.include_path

    @model_validator(mode="after")
    def _consistent(self) -> LmEvalTask:
        if not self.apply_chat_template:
            _only_with(self.model_fields_set, ("fewshot_as_multiturn",), "apply_chat_template: true")
        if self.generate is not None and self.generate.repeats is not None:
            raise ValueError("generate.repeats has no effect here: lm-eval's task says how often it asks; remove it")
        return self


def _task_tag(value: Any) -> str:
    keys = value if isinstance(value, Mapping) else getattr(type(value), "model_fields", ())
    return next((tag for tag in ("lm_eval", "classify", "perplexity") if tag in keys), "prompt")


Task: TypeAlias = Annotated[
    Annotated[PromptTask, Tag("prompt")]
    | Annotated[ClassifyTask, Tag("classify")]
    | Annotated[PerplexityTask, Tag("perplexity")]
    | Annotated[LmEvalTask, Tag("lm_eval")],
    Discriminator(_task_tag),
]
DataTask: TypeAlias = PromptTask | ClassifyTask | PerplexityTask
"""A task over a dataset of the suite."""


# ── execution and gates ───────────────────────────────────────────────────────────────────────────────────────────


_ON_ERROR = {
    "fail": {"count_as": "failure"},
    "exclude": {"count_as": "excluded", "max_rate": 1.0},
    "count_wrong": {"count_as": "wrong", "max_rate": 1.0},
}


class OnError(Strict):
    """What becomes of samples without a usable answer: fail | exclude | count_wrong, or the keys below."""

    count_as: Literal["failure", "wrong", "excluded"] = Field(
        "failure",
        description="failure: the run ends with exit code 3 and no gate passes; wrong: scored as an empty answer; "
        "excluded: left out.",
    )
    max_rate: float = Field(
        0.0, ge=0, le=1, description="wrong, excluded: above this share it is a failure all the same."
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value not in _ON_ERROR:
            raise ValueError(
                f"{value[:40]!r} is none of {', '.join(_ON_ERROR)}{suggestion(value[:40], _ON_ERROR)}, "
                "nor a mapping with count_as and max_rate"
            )
        return _ON_ERROR[value]

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        whole: dict[str, Any] = handler.resolve_ref_schema(handler(core_schema))
        short = {
            "enum": list(_ON_ERROR),
            "description": "fail: {count_as: failure}; exclude: {count_as: excluded, max_rate: 1}; "
            "count_wrong: {count_as: wrong, max_rate: 1}.",
        }
        return {"anyOf": [short, dict(whole)], "title": whole.get("title"), "description": whole.get("description")}


class Execution(Strict):
    """How the run is carried out."""

    concurrency: int = Field(16, ge=1, le=10_000, description="Most requests in flight to API models.")
    deadline_s: float | None = Field(
        None, gt=0, description="Longest time of the run: then it stops, and the same command continues it."
    )
    cache: Literal["reuse", "refresh", "off"] = Field(
        "reuse",
        description="Take answers from the response store, ask anew and store, or leave the store alone.",
    )
    on_error: OnError = Field(
        default_factory=OnError, description="fail | exclude | count_wrong, or {count_as, max_rate}."
    )
    budget_usd: float | None = Field(
        None, gt=0, description="Most that a run may spend, in US dollars; before it would spend more it stops."
    )
    max_requests: int | None = Field(None, ge=1, description="Most requests that a run may send, retries included.")
    max_tokens: int | None = Field(None, ge=1, description="Most tokens that a run may use, of prompts and answers.")
    prices: Text | None = Field(None, description="A price file to use instead of the one that comes with evalharness.")


RULE_METRIC = r"^[^.\s]\S*\.[^.\s]+$"


class Rule(Strict):
    """One condition of a release: exactly one of `at_least`, `at_most`, `max_regression`."""

    metric: str = Field(pattern=RULE_METRIC, description="`task.metric`, as the summary table names them.")
    at_least: float | None = Field(None, description="The figure must not be lower.")
    at_most: float | None = Field(None, description="The figure must not be higher.")
    max_regression: float | None = Field(
        None,
        ge=0,
        description="The figure may be worse than the baseline's by no more than this, in its own unit.",
    )
    model: str | None = Field(None, description="Only for this model (default: each model of the task).")
    group: str | None = Field(None, pattern=r"^[^=]+=.*$", description="Only for this group: language=de.")
    tier: Literal["block", "warn", "info"] = Field("block", description="Only `block` rules decide the exit code.")

    @model_validator(mode="after")
    def _one_condition(self) -> Rule:
        given = [k for k in ("at_least", "at_most", "max_regression") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of at_least, at_most and max_regression; given: {', '.join(given) or 'none'}"
            )
        return self


class Gates(Strict):
    """What a release must fulfil."""

    baseline: str | None = Field(None, description="A promoted run, `suite@label`, or a run id or folder.")
    decide_on: Literal["point", "interval"] = Field(
        "point",
        description="point: the figure itself decides; interval: its whole interval must fulfil the rule, and a rule "
        "that the interval straddles is inconclusive (exit code 4).",
    )
    rules: tuple[Rule, ...] = Field(min_length=1, description="All of them must hold.")


class Suite(Strict):
    """A whole suite, after `extends`, `vars`, `--set` and `matrix` have been applied."""

    version: Annotated[Literal[1], BeforeValidator(_check_version)] = Field(
        description="Version of the suite language."
    )
    name: Name = Field(description="Name of the suite; runs and baselines are filed under it.")
    description: str = Field("", description="What the suite is for; shown in reports.")
    seed: int = Field(0, ge=0, description="Seed of everything random that has none of its own.")
    models: dict[VariantName, ModelSpec] = Field(min_length=1, description="What is evaluated, by name.")
    datasets: dict[Name, Dataset] = Field(
        default_factory=dict,
        min_length=1,
        description="What it is evaluated on, by name; needed unless all tasks are lm-eval's.",
    )
    tasks: tuple[Task, ...] = Field(min_length=1, description="What is asked and how answers are scored.")
    execution: Execution = Field(default_factory=Execution, description="How the run is carried out.")
    gates: Gates | None = Field(None, description="What a release must fulfil.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence level of all intervals.")
