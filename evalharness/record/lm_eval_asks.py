"""What lm-eval's line of a sample says was asked of the model about a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import UsageError
from ..core.types import Kind

__all__ = ["LoggedAsk", "arguments_of", "asks_of", "kind_of"]


@dataclass(frozen=True, slots=True)
class LoggedAsk:
    """One question about a document; `places` are where its answers stand among the document's, in their order."""

    kind: Kind
    prompt: str
    generation: Mapping[str, Any] = field(default_factory=dict)
    continuations: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)


def arguments_of(line: Mapping[str, Any]) -> list[list[Any]]:
    """The arguments of each request, written as `{"gen_args_0": {"arg_0": context, "arg_1": settings}}`."""
    return [[argument[f"arg_{i}"] for i in range(len(argument))] for argument in line["arguments"].values()]


def asks_of(line: Mapping[str, Any]) -> list[LoggedAsk]:
    """What was asked: likelihoods after the same context are one question.

    What a request is can be told from its arguments. A task that is a class may ask for a text and for likelihoods of
    one document (SQuAD 2), whatever its settings say.
    """
    asks: list[LoggedAsk] = []
    together: dict[str, LoggedAsk] = {}
    for place, argument in enumerate(arguments_of(line)):
        context, kind = str(argument[0]), kind_of(argument)
        if kind == "loglikelihood":
            ask = together.setdefault(context, LoggedAsk("loglikelihood", context))
            ask.continuations.append(str(argument[1]))
            ask.places.append(place)
        else:
            asks.append(
                LoggedAsk(kind, context, _generation(argument[1]) if kind == "generate" else {}, places=[place])
            )
    return [*asks, *together.values()]


def kind_of(argument: Sequence[Any]) -> Kind:
    """What a request asks for: behind its context stand the settings of a text, or a continuation, or nothing."""
    if len(argument) == 1:
        return "loglikelihood_rolling"
    return "generate" if isinstance(argument[1], Mapping) else "loglikelihood"


def _generation(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    from ..integrations.lm_eval.generation import generation_of

    try:
        return generation_of(settings)
    except UsageError:
        # What our engine does not do is compared as lm-eval wrote it.
        return {"lm_eval": dict(settings)}
