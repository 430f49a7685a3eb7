"""Which figures a group has, and of which of its tasks' figures each is made: the rules of lm-eval's `Group`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .scoring import Items, Scored, figure_name
from .tasks import LoadedGroup

__all__ = ["GroupFigure", "group_figures"]


@dataclass(frozen=True, slots=True)
class GroupFigure:
    """A mean of the figures of a group's tasks, weighted by their numbers of documents where `by_size`."""

    name: str
    metric: str
    filter: str
    by_size: bool
    members: Mapping[str, Items]


def group_figures(group: LoadedGroup, scored: Mapping[str, Scored]) -> Iterator[GroupFigure]:
    """The figures of `group` over the tasks that have them; `scored` holds its tasks by name."""
    for wanted in group.group.aggregate_metric_list or ():
        having = {
            name: {items.filter: items for items in scored[name].figures if items.metric == wanted.metric}
            for name in group.members
            if name in scored
        }
        known = sorted({filter_name for filters in having.values() for filter_name in filters})
        filters = known if wanted.filter_list is None else [name for name in wanted.filter_list if name in known]
        for filter_name in filters:
            yield GroupFigure(
                name=figure_name(wanted.metric, filter_name, only_filter=len(known) == 1),
                metric=wanted.metric,
                filter=filter_name,
                by_size=bool(wanted.weight_by_size),
                members={name: found[filter_name] for name, found in having.items() if filter_name in found},
            )
