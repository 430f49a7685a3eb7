"""A document as a tree in which every value knows where it was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from evalharness.core.errors import Place

from .scalars import Scalar

__all__ = ["MAX_NODES", "Entry", "Node", "plain"]

MAX_NODES = 1_000_000


class Entry(NamedTuple):
    """What stands under a key, and where the key stands."""

    key: Place
    node: Node


@dataclass(slots=True)
class Node:
    """A value with its place; `raw` is a scalar as it was written."""

    value: Scalar | list[Node] | dict[str, Entry]
    place: Place
    raw: str = ""

    def get(self, key: str | int) -> Node | None:
        """The child under `key`, None if there is none."""
        if isinstance(self.value, dict):
            found = self.value.get(key) if isinstance(key, str) else None
            return found.node if found else None
        if isinstance(self.value, list) and isinstance(key, int) and 0 <= key < len(self.value):
            return self.value[key]
        return None

    @property
    def mapping(self) -> dict[str, Entry]:
        """The entries of a mapping, none for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The items of a list, none for anything else."""
        return self.value if isinstance(self.value, list) else []


def plain(node: Node) -> Any:
    """The value of `node` as Python's own types."""
    value = node.value
    if isinstance(value, dict):
        return {key: plain(entry.node) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
