"""A game from a request, for each kind of model that is run here."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from evalharness.core.errors import UsageError
from evalharness.core.games import GameError
from evalharness.core.registry import suggestion
from evalharness.core.types import Json, Request
from evalharness.core.words import PlayerKind

from .classification import Labels
from .explained import ExplainedText, choose_mask, locate, place_players, with_around
from .games import AnswerGame, ClassifierGame, Compute, output_of
from .memory import BatchSize
from .tokens import RequestError, Tokens

__all__ = ["Options", "causal_game", "classifier_game", "encoder_decoder_game", "options_of"]

_KINDS = ("words", "tokens")
# Tokens of white space at the end of a prompt, which belong to the answer.
_MOST_BEHIND = 8


@dataclass(frozen=True, slots=True)
class Options:
    """How a text becomes a game.

    `players` are `words` or the model's own `tokens`; `mask` is what stands for a masked token (`auto`, `remove`, or a
    token); `text` is the part of the prompt that is explained (None: all of it, or the last turn of the user); `output`
    is the unit of the values (None: the usual one of the model).
    """

    players: PlayerKind = "words"
    mask: str = "auto"
    text: str | None = None
    output: str | None = None

    def __post_init__(self) -> None:
        if self.players not in _KINDS:
            raise UsageError(f"explain: players must be one of {', '.join(_KINDS)}; got {self.players!r}")


def options_of(given: Mapping[str, Any]) -> Options:
    """The options of a game.

    Raises:
        UsageError: there is no such option, or not that value.
    """
    known = [field.name for field in fields(Options)]
    for name in given:
        if name not in known:
            hint = suggestion(name, known) or f"; it takes {', '.join(known)}"
            raise UsageError(f"explain: a local model has no option {name!r}{hint}")
    return Options(**given)


def classifier_game(
    request: Request, options: Options, *, model: Any, tokens: Tokens, labels: Labels, size: BatchSize, device: str
) -> ClassifierGame:
    """The game of the request's text; what is too long loses its end, as when it is classified.

    Raises:
        UsageError: an option does not suit the model.
        GameError: this text cannot be explained.
    """
    output = output_of("labels", options.output)
    mask, shown = choose_mask(options.mask, tokens.tokenizer)
    if mask is not None and mask == model.config.pad_token_id and not tokens.after:
        # Decoders with a head read the last token that is not padding.
        raise UsageError(
            f"explain: mask: {shown!r} is what this model takes for padding; name another token, such as '.'"
        )
    at = locate(request.prompt, options.text, tokens)
    before, after = (tokens.before, tokens.after) if isinstance(request.prompt, str) else ((), ())
    room = tokens.max_length - len(before) - len(after)
    text = with_around(place_players(at, tokens, kind=options.players, mask=mask, n_first=room), before, after)
    if not len(text.ids):
        raise GameError("there is nothing to explain: the text has no tokens")
    meta = _meta(options, shown, output)
    return ClassifierGame(text, labels, model=model, device=device, size=size, output=output, meta=meta)


def causal_game(
    request: Request, options: Options, *, model: Any, tokens: Tokens, compute: Compute, device: str
) -> AnswerGame:
    """The game of the request's prompt, whose value is how likely its continuations are.

    Raises:
        UsageError: an option does not suit the model.
        GameError: this text cannot be explained, or there is no continuation.
    """
    output = output_of("answers", options.output)
    mask, shown = choose_mask(options.mask, tokens.tokenizer)
    _check_answers(request.continuations)
    try:
        pairs = tokens.pairs(request.prompt, request.continuations)
    except RequestError as error:
        raise GameError(str(error)) from error
    if any(pair.merged for pair in pairs):
        raise GameError(
            "the tokenizer joins the end of the prompt with the answer into one token; begin the answer with a space"
        )
    at = locate(request.prompt, options.text, tokens)
    whole = place_players(at, tokens, kind=options.players, mask=mask)
    # The longest answer leaves the prompt the least room.
    context = min((pair.context for pair in pairs), key=len)
    return AnswerGame(
        _aligned(whole, context, n_front=len(tokens.before)),
        request.continuations,
        [pair.continuation for pair in pairs],
        model=model,
        device=device,
        compute=compute,
        begin=(),
        first=context[0],
        output=output,
        meta=_meta(options, shown, output),
    )


def _aligned(text: ExplainedText, context: Sequence[int], *, n_front: int) -> ExplainedText:
    """`text` as the tokens `context` that the model reads: at most `n_front` special ones in front, and perhaps cut.

    The white space at the end of a prompt belongs to the answer: its tokens are not among them.
    """
    ids = text.ids.tolist()
    for length in range(len(ids), max(-1, len(ids) - _MOST_BEHIND - 1), -1):
        pairs = zip(reversed(context), reversed(ids[:length]), strict=False)
        n_read = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        if n_read >= min(length, len(context) - n_front):
            return with_around(text.first(length).last(n_read), context[: len(context) - n_read], ())
    raise GameError("the tokenizer reads the prompt in two ways, so its words cannot be told from its tokens")


def encoder_decoder_game(
    request: Request,
    options: Options,
    *,
    model: Any,
    tokens: Tokens,
    compute: Compute,
    begin: tuple[int, ...],
    device: str,
) -> AnswerGame:
    """The game of the request's source, whose value is how likely its continuations are as the decoder's text.

    Raises:
        UsageError: an option does not suit the model.
        GameError: this text cannot be explained, or there is no continuation.
    """
    from .plans import encoder_decoder_plan

    output = output_of("answers", options.output)
    mask, shown = choose_mask(options.mask, tokens.tokenizer)
    _check_answers(request.continuations)
    try:
        plan = encoder_decoder_plan(request, tokens, begin=begin)
    except RequestError as error:
        raise GameError(str(error)) from error
    at = locate(request.prompt, options.text, tokens)
    whole = place_players(at, tokens, kind=options.players, mask=mask)
    after = tokens.after if isinstance(request.prompt, str) else ()
    source = plan.rows[0].source
    return AnswerGame(
        with_around(_aligned(whole, source[: len(source) - len(after)], n_front=len(tokens.before)), (), after),
        request.continuations,
        [row.targets[0] for row in plan.rows],
        model=model,
        device=device,
        compute=compute,
        begin=begin,
        first=source[0],
        output=output,
        meta=_meta(options, shown, output),
    )


def _check_answers(continuations: Sequence[str]) -> None:
    if not continuations:
        raise GameError("a model that writes text is explained by an answer that is given: there is none")


def _meta(options: Options, mask: str, output: str) -> dict[str, Json]:
    return {"players": options.players, "mask": mask, "output": output}
