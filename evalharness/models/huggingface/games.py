"""Games of a model that is run here: masked token ids in, label probabilities or the likelihood of an answer out.

Of an answer that is given (teacher-forced) the game's value is its log-odds, ln p − ln(1 − p); of two answers the
margin ln p(first) − ln p(second); of more, each one's log-odds against the others together.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import torch

from evalharness.core.errors import UsageError
from evalharness.core.games import Attentions, GameError, PathGradients, RememberedGame
from evalharness.core.types import Json, LogLikelihood
from evalharness.stats.arrays import Bools, Floats, Ints, np

from .classification import Labels
from .explained import ExplainedText
from .hardware import steady_attention
from .loading import quiet
from .memory import BatchSize, Failure, Outcome, run_batches
from .quick import quick
from .rows import Row, causal_rows
from .tokens import Encoded

__all__ = ["OUTPUTS", "AnswerGame", "ClassifierGame", "output_of"]

LabelOutput = Literal["probability", "logit"]
AnswerOutput = Literal["log_odds", "log_likelihood", "probability"]
OUTPUTS: dict[str, tuple[str, ...]] = {
    "labels": ("probability", "logit"),
    "answers": ("log_odds", "log_likelihood", "probability"),
}
# The likelihood of an answer may round to 1: its log-odds end here.
_CERTAIN = 1e-12

Compute: TypeAlias = Callable[[Sequence[Row]], Iterator[Sequence[Outcome[Row, list[LogLikelihood]]]]]


def output_of(kind: str, asked: str | None) -> str:
    """The unit that values have: `asked`, or the usual one of `kind`, a key of `OUTPUTS`.

    Raises:
        UsageError: there is no such unit.
    """
    known = OUTPUTS[kind]
    if asked is None:
        return known[0]
    if asked not in known:
        raise UsageError(f"explain: output must be one of {', '.join(known)} for this model; got {asked!r}")
    return asked


class _TokenGame(RememberedGame):
    """What both have in common: the text, and a way through the model by embeddings."""

    def __init__(
        self, text: ExplainedText, outputs: tuple[str, ...], *, model: Any, device: str, meta: Mapping[str, Json]
    ) -> None:
        told: dict[str, Json] = {"n_shared_tokens": text.n_shared, "n_cut_tokens": text.n_cut}
        super().__init__(text.tokens, outputs, meta={**meta, **{name: n for name, n in told.items() if n}})
        self._text = text
        self._model = model
        self._device = device

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        """Count the block as one call of the model."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.model_seconds += time.perf_counter() - started
            self.n_calls += 1

    def _embedded(self, embeddings: torch.Tensor) -> torch.Tensor:
        """(m, n_outputs) for the embeddings (m, L, width) of the text, with gradients."""
        raise NotImplementedError

    def path_gradients(self, places: Floats) -> PathGradients:
        table = self._model.get_input_embeddings()
        ids = torch.from_numpy(np.stack([self._text.masked(), self._text.ids])).to(self._device)
        values, products = [], []
        with quiet(), steady_attention(self._device), torch.enable_grad():
            low, high = table(ids).detach()
            way = high - low
            for place in np.asarray(places, dtype=np.float64).tolist():
                point = (low + place * way)[None].requires_grad_()
                with self._timed():
                    try:
                        found = self._embedded(point)[0]
                        slopes = [torch.autograd.grad(one, point, retain_graph=True)[0][0].detach() for one in found]
                    except (TypeError, NotImplementedError, ValueError, RuntimeError) as error:
                        raise GameError(f"this model has no gradients by its embeddings: {error}") from error
                values.append(found.detach().double().cpu().numpy())
                along = torch.stack([(slope * way).double().sum(dim=-1) for slope in slopes], dim=-1)
                products.append(self._by_player(along.cpu().numpy()))
        n = len(self.outputs)
        return PathGradients(
            np.array(values, dtype=np.float64).reshape(-1, n),
            np.array(products, dtype=np.float64).reshape(-1, len(self.tokens), n),
        )

    def _by_player(self, per_place: Floats) -> Floats:
        """(n_players, k) the sums of (L, k) over each player's places."""
        found: Floats = np.zeros((len(self.tokens), per_place.shape[1]))
        owned = self._text.owner >= 0
        np.add.at(found, self._text.owner[owned], per_place[owned])
        return found

    def attentions(self) -> Attentions:
        model = self._model
        before = getattr(model.config, "_attn_implementation", None)
        ids = torch.from_numpy(self._text.ids[None]).to(self._device)
        with quiet(), steady_attention(self._device), torch.inference_mode():
            try:
                # Fused kernels never write the weights down.
                model.set_attn_implementation("eager")
                with self._timed():
                    layers = self._attention_layers(ids)
            except (TypeError, ValueError, AttributeError, RuntimeError) as error:
                raise GameError(f"this model does not show its attention: {error}") from error
            finally:
                if before is not None:
                    model.set_attn_implementation(before)
        if not layers:
            raise GameError("this model has no attention to show")
        weights = torch.stack(layers)[:, None].numpy()
        places = tuple(tuple(np.flatnonzero(self._text.owner == n).tolist()) for n in range(len(self.tokens)))
        return Attentions(weights, places, self._reader(weights))

    def _attention_layers(self, ids: torch.Tensor) -> list[torch.Tensor]:
        """(positions, positions) of each layer, the mean over its heads; none where the model shows none."""
        return _of_heads(self._model(input_ids=ids, output_attentions=True).attentions)

    def _reader(self, weights: Floats) -> int:
        """The position that the output is read from: the last one where none looks ahead, else the first."""
        is_causal = weights.shape[-1] > 1 and not np.triu(weights.max(axis=(0, 1)), k=1).any()
        return weights.shape[-1] - 1 if is_causal else 0


class ClassifierGame(_TokenGame):
    """The label probabilities of a text, or the logits behind them."""

    def __init__(
        self,
        text: ExplainedText,
        labels: Labels,
        *,
        model: Any,
        device: str,
        size: BatchSize,
        output: str,
        meta: Mapping[str, Json],
    ) -> None:
        super().__init__(text, labels.names, model=model, device=device, meta=meta)
        self._labels = labels
        self._size = size
        self._output = output

    def evaluate(self, kept: Bools) -> Floats:
        rows = self._text.rows(kept)
        found: Floats = np.zeros((len(rows), len(self.outputs)))
        by_length: dict[int, list[int]] = {}
        for index, row in enumerate(rows):
            by_length.setdefault(len(row), []).append(index)
        if 0 in by_length:
            raise GameError("with every word removed the model has nothing to read; set another mask")
        some = torch.from_numpy(rows[0][None]).to(self._device)
        with quiet(), steady_attention(self._device), quick(self._model, some):
            for length, indexes in by_length.items():
                self._evaluate_alike(rows, indexes, length, found)
        return found

    def _evaluate_alike(self, rows: Sequence[Ints], indexes: Sequence[int], length: int, found: Floats) -> None:
        """Rows of one length, so that nothing is padded."""

        def run(batch: Sequence[int]) -> Sequence[Floats]:
            ids = torch.from_numpy(np.stack([rows[index] for index in batch])).to(self._device)
            with self._timed(), torch.inference_mode():
                logits = self._model(input_ids=ids).logits
                values: Floats = label_values(logits.double(), self._labels, self._output).cpu().numpy()
            return list(values)

        for outcomes in run_batches(indexes, length=lambda index: length, size=self._size, run=run):
            for outcome in outcomes:
                if isinstance(outcome.result, Failure):
                    raise GameError(f"the model failed on a masked text: {outcome.result.message}")
                found[outcome.item] = outcome.result

    def _embedded(self, embeddings: torch.Tensor) -> torch.Tensor:
        return label_values(self._model(inputs_embeds=embeddings).logits, self._labels, self._output)


def label_values(logits: torch.Tensor, labels: Labels, output: str) -> torch.Tensor:
    """(m, n_labels) what the head `labels` makes of `logits` (m, n): the same figures as `Labels.read`, or logits.

    Of a single logit, that of the first label is minus that of the second.
    """
    if labels.head in ("softmax", "multi_label"):
        if output == "logit":
            return logits
        return logits.softmax(dim=-1) if labels.head == "softmax" else logits.sigmoid()
    value = logits[:, 0]
    if output == "logit":
        return torch.stack([-value, value], dim=-1)
    positive = value.clamp(0.0, 1.0) if labels.head == "regression" else value.sigmoid()
    return torch.stack([1.0 - positive, positive], dim=-1)


class AnswerGame(_TokenGame):
    """How likely given answers are after a text: of a causal model, or of one with an encoder (`begin` not empty).

    `compute` scores rows: of a causal model as a tree of prefixes, so that what stands before the first masked word
    of several coalitions, and above all the prompt before the text, is computed once.
    """

    def __init__(
        self,
        text: ExplainedText,
        answers: Sequence[str],
        targets: Sequence[tuple[int, ...]],
        *,
        model: Any,
        device: str,
        compute: Compute,
        begin: tuple[int, ...],
        first: int,
        output: str,
        meta: Mapping[str, Json],
    ) -> None:
        super().__init__(text, _names(answers, output), model=model, device=device, meta=meta)
        self._targets = tuple(targets)
        self._compute = compute
        self._begin = begin
        self._first = first
        self._output = output

    def evaluate(self, kept: Bools) -> Floats:
        likelihoods: Floats = np.zeros((len(kept), len(self._targets)))
        rows: list[Row] = []
        owners: dict[int, int] = {}
        for index, ids in enumerate(self._text.rows(kept)):
            context = tuple(ids.tolist()) or (self._first,)
            for row in self._likelihood_rows(context):
                owners[id(row)] = index
                rows.append(row)
        with quiet(), steady_attention(self._device):
            outcomes = iter(self._compute(rows))
            while True:
                with self._timed():
                    batch = next(outcomes, None)
                if batch is None:
                    self.n_calls -= 1
                    break
                for outcome in batch:
                    if isinstance(outcome.result, Failure):
                        raise GameError(f"the model failed on a masked text: {outcome.result.message}")
                    for slot, part in zip(outcome.item.slots, outcome.result, strict=True):
                        likelihoods[owners[id(outcome.item)], slot] += part.total
        values: Floats = answer_values(torch.from_numpy(likelihoods), self._output).numpy()
        return values

    def _likelihood_rows(self, context: tuple[int, ...]) -> Sequence[Row]:
        if not self._begin:
            return causal_rows([Encoded(context, target) for target in self._targets])
        first = len(self._begin) - 1
        return [
            Row((*self._begin, *target[:-1]), tuple(range(first, first + len(target))), (target,), (slot,), context)
            for slot, target in enumerate(self._targets)
        ]

    def _embedded(self, embeddings: torch.Tensor) -> torch.Tensor:
        found = []
        for target in self._targets:
            wanted = torch.tensor(target, device=embeddings.device)
            if self._begin:
                inputs = torch.tensor([[*self._begin, *target[:-1]]], device=embeddings.device)
                logits = self._model(inputs_embeds=embeddings, decoder_input_ids=inputs, use_cache=False).logits
            else:
                behind = self._model.get_input_embeddings()(wanted[:-1])[None].detach()
                logits = self._model(inputs_embeds=torch.cat([embeddings, behind], dim=1), use_cache=False).logits
            scores = logits[0, -len(target) :].float().log_softmax(dim=-1)
            found.append(scores[torch.arange(len(target)), wanted].sum())
        return answer_values(torch.stack(found)[None], self._output)

    def _attention_layers(self, ids: torch.Tensor) -> list[torch.Tensor]:
        """Of an encoder and a decoder the positions of both; a layer of the decoder is two, each looking one way."""
        if not self._begin:
            return super()._attention_layers(ids)
        begin = torch.tensor([self._begin], device=ids.device)
        found = self._model(input_ids=ids, decoder_input_ids=begin, output_attentions=True, use_cache=False)
        inside, own, across = (
            _of_heads(layers) for layers in (found.encoder_attentions, found.decoder_attentions, found.cross_attentions)
        )
        if not inside or not across:
            return []
        n = inside[0].shape[-1]
        source, answer = slice(0, n), slice(n, n + len(self._begin))

        def layer(rows: slice, columns: slice, part: torch.Tensor) -> torch.Tensor:
            whole = torch.eye(answer.stop, dtype=torch.float64)
            whole[rows] = 0.0
            whole[rows, columns] = part
            return whole

        steps = [layer(source, source, part) for part in inside]
        for looks_back, looks_across in zip(own, across, strict=True):
            steps += [layer(answer, answer, looks_back), layer(answer, source, looks_across)]
        return steps

    def _reader(self, weights: Floats) -> int:
        """Of a decoder the position that the answer begins behind."""
        return weights.shape[-1] - 1 if self._begin else super()._reader(weights)


def _of_heads(layers: Sequence[torch.Tensor | None] | None) -> list[torch.Tensor]:
    """The mean over the heads, layer by layer: all heads of a long text would not fit into memory twice."""
    if not layers or any(layer is None for layer in layers):
        return []
    return [layer[0].double().mean(dim=0).cpu() for layer in layers if layer is not None]


def answer_values(likelihoods: torch.Tensor, output: str) -> torch.Tensor:
    """(m, n_outputs) from the log-likelihoods (m, n_answers): see the module."""
    if output == "log_likelihood":
        return likelihoods
    if likelihoods.shape[-1] == 1:
        if output == "probability":
            return likelihoods.exp()
        return likelihoods - (-torch.expm1(likelihoods.clamp(max=-_CERTAIN))).log()
    if output == "probability":
        return likelihoods.softmax(dim=-1)
    if likelihoods.shape[-1] == 2:
        return likelihoods[:, :1] - likelihoods[:, 1:]
    others = [
        torch.cat([likelihoods[:, :nth], likelihoods[:, nth + 1 :]], dim=-1).logsumexp(dim=-1)
        for nth in range(likelihoods.shape[-1])
    ]
    return likelihoods - torch.stack(others, dim=-1)


def _names(answers: Sequence[str], output: str) -> tuple[str, ...]:
    shown = tuple(answer.strip() or answer for answer in answers)
    return (f"{shown[0]} rather than {shown[1]}",) if len(shown) == 2 and output == "log_odds" else shown
