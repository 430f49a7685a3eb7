"""The models of a suite: one class for each backend, and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, JsonValue, Tag, model_validator

from .fields import Generation, Sha256, Strict, Template, Text, only_with

__all__ = [
    "BACKENDS",
    "AnthropicModel",
    "FakeModel",
    "HfModel",
    "HttpModel",
    "ModelSpec",
    "OpenAIModel",
    "PluginModel",
    "Price",
    "PythonModel",
    "ReplayModel",
    "class_of_backend",
]

Gpu = Annotated[str, Field(pattern=r"^cuda:\d+$")]
# How any server is asked; each backend of servers has all of these.
_Timeout = Annotated[float, Field(gt=0, description="Longest wait for one answer.")]
_Retries = Annotated[int, Field(ge=0, le=100, description="Tries again after 429, 5xx, timeouts and lost connections.")]
_Concurrency = Annotated[
    int | None, Field(ge=1, description="Most requests in flight (default: execution.concurrency).")
]
_RequestsPerMinute = Annotated[float | None, Field(gt=0, description="Send no more than this (default: no limit).")]
_TokensPerMinute = Annotated[
    float | None,
    Field(gt=0, description="Send no more than this, by estimate and then by the reply's usage (default: no limit)."),
]
_Deadline = Annotated[
    float | None, Field(gt=0, description="Longest time for one request with all its tries (default: no limit).")
]


def _distinct(devices: tuple[str, ...]) -> tuple[str, ...]:
    if twice := next((device for device in devices if devices.count(device) > 1), None):
        raise ValueError(f"names {twice} twice; a second copy there would only wait for the first")
    return devices


class Price(Strict):
    """What a model's tokens cost, in US dollars per million."""

    input: float = Field(ge=0, description="A million tokens of prompts.")
    output: float = Field(ge=0, description="A million tokens of answers, reasoning included.")
    cached_input: float | None = Field(
        None, ge=0, description="A million tokens of prompts that the server had cached (default: as `input`)."
    )
    batch: float | None = Field(
        None, ge=0, le=1, description="Share of these prices that requests in batches cost (default: 0.5)."
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
            only_with(self.model_fields_set, ("labels", "threshold"), "the backend hf-classifier")
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
    timeout_s: _Timeout = 60.0
    max_retries: _Retries = 5
    concurrency: _Concurrency = None
    requests_per_minute: _RequestsPerMinute = None
    tokens_per_minute: _TokensPerMinute = None
    deadline_s: _Deadline = None

    @model_validator(mode="after")
    def _likelihoods_of_completions(self) -> OpenAIModel:
        if self.api != "completions":
            only_with(self.model_fields_set, ("likelihood", "first_token"), "api: completions")
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
    timeout_s: _Timeout = 60.0
    max_retries: _Retries = 5
    concurrency: _Concurrency = None
    requests_per_minute: _RequestsPerMinute = None
    tokens_per_minute: _TokensPerMinute = None
    deadline_s: _Deadline = None

    @model_validator(mode="after")
    def _no_seed(self) -> AnthropicModel:
        if self.generate is not None and self.generate.seed is not None:
            raise ValueError("generate.seed has no effect here: the messages API takes no seed; remove it")
        return self


def _default_body() -> JsonValue:
    return {"prompt": "{{ prompt }}"}


# What a run itself writes beside an answer.
_OUR_META = frozenset({"batch_id", "cost_usd", "judged", "reasoning_content", "ttft_s"})


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
    kind: Literal["generate", "classify"] = Field(
        "generate",
        description="classify: `response` has a label, `{label: probability}`, or a list of `{label, score}`.",
    )
    keep: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], Text] = Field(
        default_factory=dict,
        description="What else is kept of the JSON that comes back, for metrics: {docs: sources} is at `meta.docs`.",
    )
    stream: bool = Field(
        False,
        description="The answer comes in events (server-sent events or JSON lines) or as text; `response` says where "
        "a piece stands in each event. Records the time to the first one.",
    )
    stream_end: Text | None = Field(
        None,
        description="Where an event has something true if it is the last: `done` (default: as HTTP or [DONE] says).",
    )
    timeout_s: _Timeout = 60.0
    max_retries: _Retries = 5
    concurrency: _Concurrency = None
    requests_per_minute: _RequestsPerMinute = None
    tokens_per_minute: _TokensPerMinute = None
    deadline_s: _Deadline = None
    version: str | None = Field(None, description="What you call the version behind the address; part of the identity.")

    @model_validator(mode="after")
    def _end_of_streams(self) -> HttpModel:
        if not self.stream:
            only_with(self.model_fields_set, ("stream_end",), "stream: true")
        elif self.keep:
            raise ValueError("keep has no effect with stream: true, whose events are not kept; remove one of them")
        elif self.kind == "classify":
            raise ValueError("kind: classify reads labels of a whole reply, and a stream has pieces; remove stream")
        if taken := sorted(_OUR_META & self.keep.keys()):
            raise ValueError(f"keep: the name {taken[0]!r} is one of ours; choose another")
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
