"""Two windows compared, whatever they come in: `evalharness.drift` and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..core.drifting import ColumnKind
from ..core.errors import UsageError
from .embedded import Encoder, embedded
from .policy import Policy
from .reading import read_table
from .result import Drift
from .table import KINDS, Table
from .window import compare_tables

__all__ = ["drift"]


def drift(
    reference: Any,
    current: Any,
    policy: Policy | None = None,
    *,
    columns: Sequence[str] = (),
    ignore: Sequence[str] = (),
    kinds: Mapping[str, ColumnKind] | None = None,
    segments: Sequence[str] = (),
    cluster: str | None = None,
    embed: Mapping[str, str | Mapping[str, Any]] | None = None,
) -> Drift:
    """Compare two windows, each a path or a pandas frame, an Arrow table, a list of mappings or columns by name.

    Args:
        reference: what the data should look like; kinds of columns are read off it.
        current: what is held against it.
        policy: tests, thresholds and levels.
        columns: only these columns (default: all that both have).
        ignore: not these columns.
        kinds: kinds of columns, where what is read off them is not wanted.
        segments: columns within each of whose values everything is compared, too.
        cluster: column that names what rows belong to, such as a conversation.
        embed: columns of texts that are compared by their meaning too, each with its sentence encoder: a folder,
            catalog:NAME or a name in the hub's local cache, or a mapping of model, pooling, prefix, max_tokens, dtype
            and device. The vectors are a column NAME.embedding.

    Raises:
        UsageError: for files that cannot be read, columns that are not there, and options that do not fit.
        MissingExtraError: for `embed` without torch and transformers.
    """
    for name, kind in (kinds or {}).items():
        if kind not in KINDS:
            raise UsageError(f"column {name!r} cannot be of kind {kind!r}; choose {', '.join(KINDS)}")
    encoders = _encoders(embed or {})
    for name in encoders:
        if (kinds or {}).get(name, "text") != "text":
            raise UsageError(f"column {name!r} is to be embedded, which takes texts; leave its kind out")
        if name in ignore:
            raise UsageError(f"column {name!r} is to be embedded and ignored; leave one of the two out")
    kinds = {**(kinds or {}), **dict.fromkeys(encoders, "text")}
    columns = tuple(dict.fromkeys((*columns, *encoders))) if columns else columns
    options = partial(_table, kinds=kinds, columns=columns, ignore=ignore, segments=segments, cluster=cluster)
    before = options(reference, what="reference", like=None)
    now = options(current, what="current", like=before)
    if encoders:
        before, now = embedded(before, encoders), embedded(now, encoders)
    names = (_name(reference, "reference"), _name(current, "current"))
    return compare_tables(before, now, policy or Policy(), names=names)


def _encoders(embed: Mapping[str, str | Mapping[str, Any]]) -> dict[str, Encoder]:
    if not embed:
        return {}
    from ..metrics.text_encoder import TextEncoder

    found: dict[str, Encoder] = {}
    for name, given in embed.items():
        options = {"model": given} if isinstance(given, str) else given
        try:
            found[name] = TextEncoder.of(options, base=Path())
        except UsageError as error:
            raise UsageError(f"column {name!r} cannot be embedded: {error}") from error
    return found


def _table(data: Any, *, what: str, **options: Any) -> Table:
    return read_table(data, **options) if isinstance(data, str | Path) else Table.of(data, what=what, **options)


def _name(data: Any, word: str) -> str:
    return str(data) if isinstance(data, str | Path) else word
