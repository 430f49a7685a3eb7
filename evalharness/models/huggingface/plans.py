"""What a likelihood request is for each kind of model: the rows that are computed for it."""

from __future__ import annotations

from collections.abc import Sequence

from evalharness.core.types import Request

from .rolling import rolling_windows
from .rows import Plan, Row, causal_rows, notes
from .shared import shared_causal_rows, shared_masked_rows
from .tokens import RequestError, Split, Tokens

__all__ = [
    "causal_plan",
    "causal_rolling_plan",
    "encoder_decoder_plan",
    "masked_plan",
    "masked_rolling_plan",
    "whole_text",
]


def causal_plan(request: Request, tokens: Tokens) -> Plan:
    """Each continuation after the prompt; or, of two, the tokens that they share."""
    pairs = tokens.pairs(request.prompt, request.continuations)
    longest = max((len(pair.context) + pair.n_cut for pair in pairs), default=0)
    return Plan(
        rows=shared_causal_rows(pairs) if request.sampling.shared_tokens else causal_rows(pairs),
        n_slots=len(pairs),
        input_tokens=longest + sum(len(pair.continuation) for pair in pairs),
        meta=notes(n_cut=max((pair.n_cut for pair in pairs), default=0), merged=any(pair.merged for pair in pairs)),
    )


def causal_rolling_plan(request: Request, tokens: Tokens) -> Plan:
    """The whole prompt, after BOS or EOS, in windows that score each token once."""
    ids = tokens.whole(whole_text(request, tokens))
    rows = tuple(
        Row(
            inputs=window.inputs,
            positions=tuple(range(len(window.inputs) - window.n_scored, len(window.inputs))),
            targets=(tuple(ids[window.start : window.start + window.n_scored]),),
            slots=(0,),
        )
        for window in rolling_windows(ids, prefix=tokens.first, max_length=tokens.max_length)
    )
    return Plan(rows=rows, n_slots=1, input_tokens=len(ids))


def encoder_decoder_plan(request: Request, tokens: Tokens, *, begin: tuple[int, ...]) -> Plan:
    """Each continuation as the decoder's text after `begin`, its start tokens, given the prompt as the source.

    The end of the text is not scored, as in lm-eval: a continuation is what the target begins with. What lm-eval scores
    begins with the first start token alone, whatever generation is made to say behind it.
    """
    if request.sampling.shared_tokens:
        raise RequestError("hf-seq2seq cannot score only the tokens that two choices share; set score: all")
    prompt = request.prompt
    space = prompt[len(prompt.rstrip()) :] if isinstance(prompt, str) else ""
    source, n_cut = tokens.source(prompt, scored=True)
    if tokens.follows_lm_eval:
        begin = begin[:1]
    rows = []
    n_scored = 0
    for slot, continuation in enumerate(request.continuations):
        target = tuple(tokens.text(space + continuation))
        if not target:
            raise RequestError(f"the continuation {continuation!r} has no tokens to score")
        if prompt == "" and len(target) > 1 and target[0] == tokens.first:
            target = target[1:]
        tokens.check_fits(target, tokens.max_length)
        n_scored += len(target)
        first = len(begin) - 1
        rows.append(
            Row((*begin, *target[:-1]), tuple(range(first, first + len(target))), (target,), (slot,), source=source)
        )
    return Plan(tuple(rows), len(rows), input_tokens=len(source) + n_cut + n_scored, meta=notes(n_cut=n_cut))


def masked_plan(request: Request, tokens: Tokens) -> Plan:
    """Pseudo-log-likelihood of each continuation: each of its tokens masked alone, all others of the text seen.

    Salazar et al. 2020, "Masked Language Model Scoring", equation 2, summed over the continuation; or, of two
    continuations, over the tokens that they share (Nangia et al. 2020, equation 1).
    """
    parts = tokens.split(request.prompt, request.continuations)
    rows: list[Row] = []
    read: list[tuple[Split, Sequence[int]]] = []
    n_cut = 0
    for slot, part in enumerate(parts):
        room = tokens.max_length - len(part.before) - len(part.after)
        tokens.check_fits(part.continuation, max(0, room))
        cut = max(0, len(part.context) + len(part.continuation) - room)
        n_cut = max(n_cut, cut)
        read.append((part, part.context[cut:]))
        rows += [] if request.sampling.shared_tokens else _one_masked(part, part.context[cut:], slot)
    if request.sampling.shared_tokens:
        rows = shared_masked_rows(read)
    longest = max((len(part.context) for part in parts), default=0)
    return Plan(
        rows=tuple(rows),
        n_slots=len(parts),
        input_tokens=longest + sum(len(part.continuation) for part in parts),
        meta=notes(n_cut=n_cut, merged=any(part.merged for part in parts)),
    )


def _one_masked(part: Split, context: Sequence[int], slot: int) -> list[Row]:
    inputs = (*part.before, *context, *part.continuation, *part.after)
    first = len(part.before) + len(context)
    # The rows share one tuple: what is masked is put in when a batch is made.
    return [Row(inputs, (first + step,), ((token,),), (slot,)) for step, token in enumerate(part.continuation)]


def masked_rolling_plan(request: Request, tokens: Tokens) -> Plan:
    """Pseudo-log-likelihood of the whole prompt, in windows that score each token once, the last one full as well."""
    ids = tuple(tokens.text(whole_text(request, tokens)))
    before, after = tokens.before, tokens.after
    room = tokens.room
    rows: list[Row] = []
    for start in range(0, len(ids), room):
        end = min(start + room, len(ids))
        low = max(0, end - room)
        inputs = (*before, *ids[low:end], *after)
        rows += [Row(inputs, (len(before) + at - low,), ((ids[at],),), (0,)) for at in range(start, end)]
    return Plan(tuple(rows), n_slots=1, input_tokens=len(ids))


def whole_text(request: Request, tokens: Tokens) -> str:
    """The text that a request of kind `loglikelihood_rolling` is about."""
    return request.prompt if isinstance(request.prompt, str) else tokens.chat(request.prompt)
