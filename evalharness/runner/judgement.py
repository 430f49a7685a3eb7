"""One judging of one task on one model: what the judges are asked about an answer, and what their replies say of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from evalharness.core.canonical import digest
from evalharness.core.types import FAILED_STATES, Json, Message, Prompt, Request, Response, Sample, Sampling
from evalharness.metrics.base import answer_text
from evalharness.metrics.judge import LlmJudge
from evalharness.metrics.judge_companions import outcomes_of
from evalharness.metrics.judge_prompt import PROMPT_VERSION, Part, judge_messages
from evalharness.metrics.judge_verdict import PAIR_VALUES, VerdictFault, read_verdict
from evalharness.metrics.places import parse_place, texts_of
from evalharness.models.outputs import prompt_text
from evalharness.suite.check import obeys_schemas
from evalharness.suite.judges import speaks_turns
from evalharness.suite.plan import generation_settings, request_key, sampling_json, samplings_of
from evalharness.suite.render import prompt_json
from evalharness.suite.schema import OpenAIModel
from evalharness.suite.template import compiled

from .calibration import Ratings

if TYPE_CHECKING:
    from evalharness.suite.schema import Suite

__all__ = ["Judgement", "Slot", "judgement_parts"]

_SETTINGS: Mapping[str, Json] = {"max_tokens": 1024, "temperature": 0.0}
"""How a judge is asked where its entry does not say otherwise: a reason takes tokens, and no chance is wanted."""
_ANSWER, _FIRST, _SECOND = "ANSWER", "ANSWER A", "ANSWER B"
_QUESTION, _REFERENCE, _CONTEXT = "QUESTION", "REFERENCE", "CONTEXT"
_PLACES = {
    "answer": f"the text {_ANSWER}",
    "answers": f"the texts {_FIRST} and {_SECOND}",
    "question": f"the text {_QUESTION}",
    "prompt": f"the text {_QUESTION}",
    "reference": f"the text {_REFERENCE}",
    "references": f"the text {_REFERENCE}",
}
"""What a rubric's names give: where the texts stand. The texts themselves are never part of the rubric."""
_TALK = "\n\n".join(("{system}", "{user}", "The JSON object:\n"))


class Slot(NamedTuple):
    """One verdict among those on an answer."""

    judge: str
    repeat: int
    order: Literal["ab", "ba"] | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judging that is bound to a task and a model of a suite.

    `metric` knows its figure and its rubric; `parts` are what decides the verdicts; `samplings` and `keys` say by judge
    how it is asked, and what stands for it in the keys of requests (digest of its identity, whether it is asked by
    sample id); `turns` are those of the judges that take chat turns.
    """

    metric: LlmJudge
    task: str
    model: str
    samplings: Mapping[str, Sequence[Sampling]]
    keys: Mapping[str, tuple[str, bool]]
    turns: frozenset[str]
    parts: Mapping[str, Json]
    ratings: Ratings | None = None

    @classmethod
    def bound(
        cls,
        metric: LlmJudge,
        *,
        task: str,
        model: str,
        suite: Suite,
        identities: Mapping[str, Mapping[str, Json]],
        base: Path,
        ratings: Ratings | None = None,
    ) -> Judgement:
        """The judging of the answers of `model`; `metric` has its rubric (`for_run`)."""
        samplings = {judge: _samplings(metric, judge, suite, base) for judge in metric.judges}
        return cls(
            metric=metric,
            task=task,
            model=model,
            samplings=samplings,
            keys={
                judge: (digest(identities[judge]), bool(identities[judge].get("by_sample_id")))
                for judge in metric.judges
            },
            turns=frozenset(judge for judge in metric.judges if speaks_turns(suite.models[judge])),
            parts=judgement_parts(metric, samplings, identities),
            ratings=ratings,
        )

    @property
    def figure(self) -> str:
        """What the figure is called."""
        return self.metric.figure

    @property
    def digest(self) -> str:
        """What stands for all that decides the verdicts."""
        return digest(self.parts)[:16]

    @property
    def slots(self) -> list[Slot]:
        """The verdicts on an answer, in the order of their requests."""
        orders: tuple[Literal["ab", "ba"] | None, ...] = (None,) if self.metric.against is None else ("ab", "ba")
        found = product(self.metric.judges, range(self.metric.repeats), orders)
        return [Slot(judge, repeat, order) for judge, repeat, order in found]

    # ── asking ────────────────────────────────────────────────────────────────────────────────────────────────────

    def rubric_of(self, sample: Sample) -> str:
        """The rubric as the judges of this sample's answers read it.

        Raises:
            UsageError: the sample has no such field.
        """
        row = dict(sample.fields)
        return compiled(self.metric.rubric_text).text({**row, "row": row, **self._places})

    @property
    def _places(self) -> Mapping[str, str]:
        documents = _PLACES["question"] if self.metric.context is None else f"the text {_CONTEXT}"
        return {**_PLACES, **dict.fromkeys(self.metric.names, documents)}

    def documents_before(self, sample: Sample) -> list[str]:
        """The documents, as far as they are known before there is an answer."""
        if self.metric.context is None or self.metric.context.startswith(("meta.", "answer")):
            return []
        return self.documents_of(sample, Response("")) or []

    def documents_of(self, sample: Sample, response: Response) -> list[str] | None:
        """The documents that `context` names; None where nothing stands there.

        Raises:
            UsageError: the row has no such column, or what stands there is no text.
        """
        place = parse_place(self.metric.context or "", option="context")
        value = place.found(sample, response)
        return None if value is None else texts_of(value, place=place, sample=sample)

    def names_fields(self) -> bool:
        """Whether the rubric is another one for other samples."""
        return bool(compiled(self.metric.rubric_text).names - self._places.keys())

    def other_answer(self, sample: Sample, response: Response | None) -> str | None:
        """The other text of a pair, None where it never came: the reference, or what the other model answered."""
        if self.metric.against_reference:
            return sample.references[0] if sample.references else None
        if response is None or response.status in FAILED_STATES:
            return None
        return answer_text(response)

    def requests(
        self, sample: Sample, answer: str, other: str | None = None, documents: Sequence[str] = ()
    ) -> Iterator[Request]:
        """The requests for the verdicts on `answer`, one for each of the slots; `other` is that of a pair.

        `documents` are shown where the judging has a `context`.
        """
        rubric = self.rubric_of(sample)
        asked: dict[str | None, tuple[Message, ...]] = {}
        for judge, repeat, order in self.slots:
            if order not in asked:
                asked[order] = self._turns(rubric, sample, answer, other, order, documents)
            prompt = asked[order] if judge in self.turns else _as_text(asked[order])
            model_digest, by_sample = self.keys[judge]
            sampling = self.samplings[judge][repeat]
            yield Request(
                key=request_key(
                    model_digest,
                    "generate",
                    prompt_json(prompt),
                    (),
                    sampling_json(sampling),
                    repeat,
                    sample.id if by_sample else None,
                ),
                model=judge,
                kind="generate",
                sample_id=sample.id,
                prompt=prompt,
                sampling=sampling,
                repeat=repeat,
            )

    def _turns(
        self,
        rubric: str,
        sample: Sample,
        answer: str,
        other: str | None,
        order: str | None,
        documents: Sequence[str],
    ) -> tuple[Message, ...]:
        parts = [Part(_QUESTION, prompt_text(sample.prompt))]
        named = compiled(self.metric.rubric_text).names & {"reference", "references"}
        if named and not self.metric.against_reference:
            parts.append(Part(_REFERENCE, "\n\n".join(sample.references)))
        if self.metric.context is not None:
            parts.append(Part(_CONTEXT, "\n\n".join(documents)))
        if order is None:
            judged = [Part(_ANSWER, answer)]
        else:
            first, second = (answer, other or "") if order == "ab" else (other or "", answer)
            judged = [Part(_FIRST, first), Part(_SECOND, second)]
        words = self.metric.form.words()
        return judge_messages(rubric, [*parts, *judged], [part.name for part in judged], words)

    # ── what came back ────────────────────────────────────────────────────────────────────────────────────────────

    def judged(
        self, sample: Sample, repeat: int, replies: Sequence[Response] | None, *, reason: str = ""
    ) -> dict[str, Json]:
        """What the response keeps: value, label and verdicts; without `replies` no judge was asked, for `reason`."""
        verdicts: list[Json] = []
        for index, slot in enumerate(self.slots):
            reply = None if replies is None else replies[index]
            found: dict[str, Json] = {"value": None, "label": None, "status": "judge_failed", "reason": reason}
            if reply is not None:
                found = self._verdict(slot, reply)
            verdicts.append(
                {
                    "model": slot.judge,
                    "repeat": slot.repeat,
                    "order": slot.order,
                    **found,
                    "key": None if reply is None else reply.key,
                }
            )
        pairs = self.metric.against is not None
        usable = [v for v in outcomes_of({"verdicts": verdicts}, pairs=pairs).values() if v is not None]
        kept: dict[str, Json] = {
            "value": fmean(usable) if usable else None,
            "label": _most(self._labels(verdicts, usable)),
            "verdicts": verdicts,
        }
        return kept | self.human(sample, repeat)

    def human(self, sample: Sample, repeat: int) -> dict[str, Json]:
        """What people said of the same answer, where the suite has their ratings."""
        return {} if self.ratings is None else {"human": self.ratings.of(sample.id, self.model, repeat)}

    def _verdict(self, slot: Slot, reply: Response) -> dict[str, Json]:
        fault = _fault(reply)
        if fault is None:
            try:
                found = read_verdict(self.metric.form, reply.text or "")
            except VerdictFault as error:
                fault = str(error)
        if fault is not None:
            return {"value": None, "label": None, "status": "judge_failed", "reason": fault}
        value = found.value
        if slot.order is not None:
            own = "A" if slot.order == "ab" else "B"
            value = PAIR_VALUES["tie" if found.label == "tie" else "win" if found.label == own else "loss"]
        said: dict[str, Json] = {} if found.reason is None else {"explanation": found.reason}
        return {"value": value, "label": found.label, "status": "ok", "reason": None, **said}

    def _labels(self, verdicts: Sequence[Any], usable: Sequence[float]) -> list[str]:
        if self.metric.against is not None:
            return [label for value in usable for label, worth in PAIR_VALUES.items() if worth == value]
        return [verdict["label"] for verdict in verdicts if verdict["label"] is not None]


def judgement_parts(
    metric: LlmJudge, samplings: Mapping[str, Sequence[Sampling]], identities: Mapping[str, Mapping[str, Json]]
) -> dict[str, Json]:
    """All that decides the verdicts on an answer, in words and digests: two judgings with the same are the same.

    Seeds are no part of it, as they are none of what a task asks.
    """
    against: Json = metric.against
    if against is not None and not metric.against_reference:
        against = f"{against} {digest(identities.get(str(against), {}))[:16]}"
    return {
        "rubric": sha256(metric.rubric_text.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        "verdict": json.loads(metric.form.schema()),
        "classes": dict(metric.form.classes),
        "judges": {
            judge: digest([identities[judge], sampling_json(replace(samplings[judge][0], seed=None))])[:16]
            for judge in metric.judges
        },
        "repeats": metric.repeats,
        "against": against,
        "prompt": PROMPT_VERSION,
        **({} if metric.context is None else {"context": metric.context}),
    }


def _samplings(metric: LlmJudge, judge: str, suite: Suite, base: Path) -> list[Sampling]:
    """How the judge is asked, one for each repeat; the settings of its entry win over ours, but for the schema."""
    spec = suite.models[judge]
    settings = {**_SETTINGS, **generation_settings(None, spec.generate, base=base), "repeats": metric.repeats}
    settings.pop("json_schema", None)
    if metric.structured and isinstance(spec, OpenAIModel) and obeys_schemas(spec):
        settings["json_schema"] = metric.form.schema()
    return list(samplings_of(settings, suite.seed))


def _as_text(turns: Sequence[Message]) -> Prompt:
    return _TALK.replace("{system}", turns[0].content, 1).replace("{user}", turns[1].content, 1)


def _fault(reply: Response) -> str | None:
    """Why a reply holds no verdict whatever its text, None where that is to be read."""
    if reply.status in FAILED_STATES:
        return f"the judge could not be asked: {reply.error or reply.status}"
    if reply.status == "truncated":
        return "the reply was cut off: give the judge more tokens, `generate: {max_tokens: …}`"
    if reply.status == "refusal":
        return "the judge refused"
    return None


def _most(labels: Sequence[str]) -> str | None:
    """The label that stands most often; None where two do."""
    counts = Counter(labels).most_common(2)
    if not counts or (len(counts) == 2 and counts[0][1] == counts[1][1]):
        return None
    return counts[0][0]
