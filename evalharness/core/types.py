"""The frozen values that travel between rooms.

`Row` (data) → `Sample` (one item of a task, prompt rendered) → `Request` (what a model is asked, with its key)
→ `Response` (what came back, with its state) → `MetricResult` (a figure with its interval).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .errors import Place
from .pickling import quick_to_pickle

__all__ = [
    "FAILED_STATES",
    "KINDS",
    "STATUSES",
    "Json",
    "Kind",
    "LogLikelihood",
    "Message",
    "MetricResult",
    "Prompt",
    "Request",
    "Response",
    "Row",
    "Sample",
    "Sampling",
    "Status",
    "Verdict",
    "VerdictState",
]

Json: TypeAlias = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

Kind = Literal["generate", "loglikelihood", "loglikelihood_rolling", "classify", "study"]
KINDS: tuple[Kind, ...] = ("generate", "loglikelihood", "loglikelihood_rolling", "classify", "study")

Status = Literal["ok", "error", "refusal", "truncated", "unparsed", "judge_failed"]
STATUSES: tuple[Status, ...] = ("ok", "error", "refusal", "truncated", "unparsed", "judge_failed")
# No usable answer came back, through no doing of the model's: the suite's `on_error` says what a gate does with
# these. A refusal, a truncated or an unparsable answer *is* the model's answer: it is scored, and counted apart.
FAILED_STATES: frozenset[Status] = frozenset({"error", "judge_failed"})

VerdictState = Literal["pass", "fail", "inconclusive"]


@quick_to_pickle
@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


Prompt: TypeAlias = str | tuple[Message, ...]
"""What a model reads: raw text, or chat turns to which the model's own chat template is applied."""


@quick_to_pickle
@dataclass(frozen=True, slots=True)
class Row:
    """One row of a dataset as it was read: `fields` is what templates see, `place` is where it stands."""

    id: str
    fields: Mapping[str, Json]
    place: Place
    groups: Mapping[str, str] = field(default_factory=dict)
    cluster: str | None = None


@quick_to_pickle
@dataclass(frozen=True, slots=True)
class Sample:
    """One item of a task, rendered.

    `digest` is the sha256 of the content (prompt, references, choices, target): two runs are paired on it.
    `references` are the gold texts (generation), `choices` the answers to choose from (multiple choice, in the order
    of the response's log-likelihoods), `target` the gold label.
    """

    id: str
    digest: str
    prompt: Prompt
    references: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    target: str | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    cluster: str | None = None
    fields: Mapping[str, Json] = field(default_factory=dict)


@quick_to_pickle
@dataclass(frozen=True, slots=True)
class Sampling:
    """How text is generated; `temperature` 0 is greedy decoding, `None` leaves the backend's default.

    `json_schema` is the JSON Schema that the text must obey, as JSON text: the order of its properties is the order in
    which they are written. `top_logprobs` (kind `loglikelihood_rolling`) asks for so many of the likeliest tokens at
    each place of the text. `shared_tokens` (kind `loglikelihood`, two continuations) counts of each continuation only
    those tokens that both have. `unconditional` (kind `loglikelihood`) asks for the continuations after nothing, too:
    their sums stand in the response's `meta`. `study` (kind `study`) is the procedure and its options, as canonical
    JSON.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    json_schema: str | None = None
    top_logprobs: int | None = None
    shared_tokens: bool | None = None
    study: str | None = None
    unconditional: bool | None = None


@quick_to_pickle
@dataclass(frozen=True, slots=True)
class Request:
    """One question to one model. `key` is the sha256 of all that can change the response.

    `continuations` (kind `loglikelihood`) are scored as they stand, each after `prompt`; the leading space is part
    of them. Kind `loglikelihood_rolling` scores the whole of `prompt`; kind `classify` classifies it. Kind `study` is
    a procedure that asks the model many times about one sample, such as an explanation: `sampling.study` says which;
    the runner carries it out for any model, and what it found stands in the response's `meta`.
    """

    key: str
    model: str
    kind: Kind
    sample_id: str
    prompt: Prompt
    continuations: tuple[str, ...] = ()
    sampling: Sampling = Sampling()
    repeat: int = 0


@quick_to_pickle
@dataclass(frozen=True, slots=True)
class LogLikelihood:
    """Natural-log likelihood summed over `n_tokens` tokens; `is_greedy` where each was the most likely one."""

    total: float
    n_tokens: int
    is_greedy: bool = False


@quick_to_pickle
@dataclass(frozen=True, slots=True)
class Response:
    """What came back for the request with the same `key`.

    `text` is the output as it came; `answer` is the label read from it (multiple choice, classification, `extract`),
    None where nothing could be read. `loglikelihoods` stand in the order of the request's continuations (one for
    rolling). `label_probabilities` sum to 1 for single-label classifiers. Times are in seconds.
    """

    key: str
    status: Status = "ok"
    text: str | None = None
    answer: str | None = None
    loglikelihoods: tuple[LogLikelihood, ...] = ()
    label_probabilities: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    latency_s: float | None = None
    n_retries: int = 0
    created_utc: str = ""
    meta: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MetricResult:
    """One figure of a record.

    `n` is the number of samples with something to measure, `n_failed` those without a usable answer. `group` is None
    for all samples, else "column=value". `totals` are the summed statistics under `columns`, from which the value, and
    the figure of any union of disjoint runs, follows. `value`, `ci_low` and `ci_high` are NaN where there is nothing
    to measure.
    """

    task: str
    model: str
    metric: str
    value: float
    ci_low: float
    ci_high: float
    ci_method: str
    confidence: float
    n: int
    n_failed: int
    higher_is_better: bool
    bounds: tuple[float, float]
    signature: str
    group: str | None = None
    columns: tuple[str, ...] = ()
    totals: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one gate rule decided, on which figure, and why, in one sentence.

    Where bounds decide, `p_value` is that of "the rule is violated", `alpha` what it was held against (Holm's step),
    and `method` the test. `further_samples` says about how many more samples would settle an inconclusive one with
    a probability of 80 %; None where no number would.
    """

    rule: str
    state: VerdictState
    tier: Literal["block", "warn", "info"]
    reason: str
    task: str
    model: str
    metric: str
    value: float
    ci_low: float
    ci_high: float
    limit: float
    baseline_value: float | None = None
    n: int = 0
    further_samples: int | None = None
    p_value: float | None = None
    alpha: float | None = None
    method: str = ""
