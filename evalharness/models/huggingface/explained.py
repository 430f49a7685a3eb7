"""The text that is explained among the tokens that a model reads: where its words are, what stands for a masked one.

Special tokens, the chat template and the prompt around the text are read as they are and never masked. A masked word's
tokens are replaced one by one: all other tokens, and their places, stay as they were.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from evalharness.core.errors import UsageError
from evalharness.core.games import GameError, Token
from evalharness.core.types import Prompt
from evalharness.core.words import Player, PlayerKind, find_players
from evalharness.stats.arrays import Bools, Ints, np

from .tokens import RequestError, Tokens

__all__ = ["REMOVE", "ExplainedText", "Located", "choose_mask", "locate", "place_players", "with_around"]

REMOVE = "remove"
_MARKER = "\ue000explained\ue001"  # of the private use area: no chat holds it


@dataclass(frozen=True, slots=True)
class Located:
    """The `text` that the tokenizer gets, and where in it the explained part stands.

    `shift` is what a chat template has cut from the part's beginning: places count from the part as it was given.
    """

    text: str
    span: tuple[int, int]
    shift: int = 0


def locate(prompt: Prompt, part: str | None, tokens: Tokens) -> Located:
    """The explained part of `prompt`: all of it, or the last turn of the user; or `part` of either.

    Raises:
        GameError: the part is not there, or there several times, or the chat template changes it.
    """
    if isinstance(prompt, str):
        start, end = _within(prompt, part, "the prompt")
        return Located(prompt, (start, end))
    turns = [
        index
        for index, turn in enumerate(prompt)
        if not isinstance(turn, str) and (turn.role == "user" if part is None else part in turn.content)
    ]
    if not turns:
        raise GameError(
            "the chat has no turn of the user to explain" if part is None else f"no turn of the chat has {part!r}"
        )
    at = turns[-1]
    turn = prompt[at]
    assert not isinstance(turn, str)
    marked = tuple(
        dataclasses.replace(other, content=_MARKER) if index == at and not isinstance(other, str) else other
        for index, other in enumerate(prompt)
    )
    try:
        text, begins = tokens.chat(prompt), tokens.chat(marked).find(_MARKER)
    except RequestError as error:
        raise GameError(str(error)) from error
    for content, cut in ((turn.content, 0), (turn.content.strip(), len(turn.content) - len(turn.content.lstrip()))):
        if begins >= 0 and text.startswith(content, begins):
            start, end = _within(content, part, "the turn")
            return Located(text, (begins + start, begins + end), cut if part is None else 0)
    raise GameError("the chat template changes the text that is to be explained, so its words cannot be found in it")


def _within(text: str, part: str | None, where: str) -> tuple[int, int]:
    if part is None:
        return 0, len(text)
    count = text.count(part) if part else 0
    if count != 1:
        raise GameError(
            f"the text to explain must stand in {where} once; it is there {count} times: {part[:60]!r}"
            if part
            else "the text to explain is empty"
        )
    start = text.index(part)
    return start, start + len(part)


@dataclass(frozen=True, slots=True)
class ExplainedText:
    """The `ids` (L,) that the model reads, and the players: `owner` (L,) is a place's player, −1 for none.

    `n_cut` tokens of the text are not read, for the whole is too long for the model.
    """

    ids: Ints
    owner: Ints
    players: tuple[Player, ...]
    mask: int | None
    n_shared: int = 0
    n_cut: int = 0

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The players as the game shows them."""
        return tuple(player.token for player in self.players)

    def hidden(self, kept: Bools) -> Bools:
        """(m, L) the places whose player is masked in each of the coalitions `kept` (m, n_players)."""
        found: Bools = np.zeros((len(kept), len(self.ids)), dtype=np.bool_)
        owned = self.owner >= 0
        found[:, owned] = ~kept[:, self.owner[owned]]
        return found

    def rows(self, kept: Bools) -> list[Ints]:
        """The ids of each coalition: masked places replaced, or left out where nothing stands for a masked word."""
        hidden = self.hidden(kept)
        if self.mask is None:
            return [self.ids[~row] for row in hidden]
        return list(np.where(hidden, self.mask, self.ids[None, :]))

    def masked(self) -> Ints:
        """(L,) the ids with every player masked.

        Raises:
            GameError: masked words are left out, so that there is nothing to stand between.
        """
        if self.mask is None:
            raise GameError(f"integrated gradients need a token that stands for a masked word: mask: {REMOVE} has none")
        return np.where(self.owner >= 0, self.mask, self.ids)

    def last(self, length: int) -> ExplainedText:
        """The last `length` tokens, the others being cut; players that lose all of theirs are gone."""
        n_lost = len(self.ids) - length
        return dataclasses.replace(self._cut(slice(n_lost, None)), n_cut=self.n_cut + n_lost)

    def first(self, length: int) -> ExplainedText:
        """The first `length` tokens."""
        return self._cut(slice(0, length))

    def _cut(self, part: slice) -> ExplainedText:
        owner = self.owner[part]
        left = [index for index in range(len(self.players)) if (owner == index).any()]
        renumbered: Ints = np.full(len(self.players) + 1, -1, dtype=np.int64)
        renumbered[left] = np.arange(len(left))
        # The last entry is that of −1, no player.
        return dataclasses.replace(
            self, ids=self.ids[part], owner=renumbered[owner], players=tuple(self.players[index] for index in left)
        )


def place_players(
    at: Located, tokens: Tokens, *, kind: PlayerKind, mask: int | None, n_first: int | None = None
) -> ExplainedText:
    """The tokens of the located text without special ones around, and whose they are; of the first `n_first` only.

    Raises:
        GameError: the text cannot be encoded, or the tokenizer does not say where its tokens stand.
    """
    tokenizer = tokens.tokenizer
    try:
        ids = list(tokens.text(at.text)) if at.text else []
        if not getattr(tokenizer, "is_fast", False):
            raise GameError("this tokenizer does not say where its tokens stand: one with a tokenizer.json does")
        encoded = tokenizer(at.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    except RequestError as error:
        raise GameError(str(error)) from error
    offsets: Sequence[tuple[int, int]] = encoded["offset_mapping"]
    if list(encoded["input_ids"]) != ids:
        raise GameError("the tokenizer reads the text in two ways, so its words cannot be told from its tokens")
    n_cut = 0 if n_first is None else max(len(ids) - n_first, 0)
    ids, offsets = ids[:n_first], offsets[:n_first]
    # A special token that somebody wrote into the text is one to the model all the same; an unknown word is a word.
    special = {int(token) for token in tokenizer.all_special_ids} - {tokenizer.unk_token_id}
    unknown = (tokenizer.unk_token_id, tokenizer.unk_token)
    places = [
        None if token in special or (token, at.text[a:b].strip()) == unknown else (int(a), int(b))
        for token, (a, b) in zip(ids, offsets, strict=True)
    ]
    found = find_players(at.text, places, span=at.span, kind=kind)
    owner: Ints = np.full(len(ids), -1, dtype=np.int64)
    for index, player in enumerate(found.players):
        owner[list(player.places)] = index
    shifted = tuple(_shifted(player, at.shift) for player in found.players)
    return ExplainedText(np.array(ids, dtype=np.int64), owner, shifted, mask, found.n_shared, n_cut)


def _shifted(player: Player, by: int) -> Player:
    token = player.token
    return dataclasses.replace(player, token=Token(token.text, token.start + by, token.end + by)) if by else player


def with_around(text: ExplainedText, before: Iterable[int], after: Iterable[int]) -> ExplainedText:
    """`text` with tokens around it that belong to nobody."""
    front: Ints = np.array([*before], dtype=np.int64)
    back: Ints = np.array([*after], dtype=np.int64)
    return dataclasses.replace(
        text,
        ids=np.concatenate([front, text.ids, back]),
        owner=np.concatenate([np.full(len(front), -1), text.owner, np.full(len(back), -1)]),
    )


def choose_mask(asked: str, tokenizer: Any) -> tuple[int | None, str]:
    """The id that stands for a masked token, and its name.

    `auto`: the tokenizer's mask token; without one the token of "_", which says little in any text; else the unknown
    token, else the end of the text. `remove`: None, masked tokens are left out and the others move together. Else the
    token of that name, or the one token of that text.

    Raises:
        UsageError: the text asked for is not one token.
    """
    if asked == REMOVE:
        return None, REMOVE
    if asked != "auto":
        found = _one_token(asked, tokenizer)
        if found is None:
            raise UsageError(f"explain: mask: {asked!r} is not one token of this model; give another, or {REMOVE}")
        return found, asked
    candidates = (
        tokenizer.mask_token_id,
        _one_token("_", tokenizer),
        tokenizer.unk_token_id,
        tokenizer.eos_token_id,
    )
    for candidate in candidates:
        if candidate is not None:
            return int(candidate), str(tokenizer.convert_ids_to_tokens(int(candidate)))
    raise UsageError(f"explain: this model has no token that could stand for a masked one; set mask: {REMOVE}")


def _one_token(text: str, tokenizer: Any) -> int | None:
    known = tokenizer.get_vocab().get(text)
    if known is not None:
        return int(known)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return int(ids[0]) if len(ids) == 1 and ids[0] != tokenizer.unk_token_id else None
