"""From a suite's entry with `probe` to the probe: its options are checked against the probe's own fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from evalharness.core.errors import UsageError
from evalharness.core.registry import registry, suggestion

from .options import option_fault, with_options
from .schema import ProbeTask

if TYPE_CHECKING:
    from evalharness.probes.base import ItemsProbe, RewritingProbe

__all__ = ["ProbeFault", "build_probe", "is_rewriting", "scoring_options"]

# Keys of every entry that reach a probe where it has an option of that name.
_HANDED_ON = ("least_n", "fields")
_SCORING = frozenset({"margin", "least_n"})


class ProbeFault(UsageError):
    """What is wrong with an entry; `option` is the key at fault, "" for the probe as a whole."""

    def __init__(self, message: str, option: str = "") -> None:
        super().__init__(message)
        self.option = option


def build_probe(task: ProbeTask) -> ItemsProbe | RewritingProbe:
    """The probe of an entry, with its options.

    Raises:
        ProbeFault: there is no such probe, an option is unknown or wrong, or `of` is missing or has no effect.
    """
    name = task.probe
    try:
        registry("probes").check(name)
        factory = registry("probes").load(name)
    except UsageError as error:
        more = "" if "did you mean" in str(error) else "; see evalharness list probes"
        raise ProbeFault(f"{error}{more}", "probe") from error
    if not dataclasses.is_dataclass(factory) or not isinstance(factory, type):
        raise ProbeFault(f"the probe {name!r} is no dataclass; its package registers something else", "probe")
    own = [field.name for field in dataclasses.fields(factory) if field.init]
    given: dict[str, Any] = task.options
    for key in given:
        if key not in own:
            near = suggestion(key, own) or (f"; it has: {', '.join(own)}" if own else "; it has none")
            raise ProbeFault(f"the probe {name!r} has no option {key!r}{near}", key)
    given |= {key: value for key in _HANDED_ON if key in own and (value := getattr(task, key)) is not None}
    try:
        probe: ItemsProbe | RewritingProbe = with_options(factory, given)
    except ValidationError as error:
        option, message = option_fault("probe", name, factory, given, error)
        raise ProbeFault(message, option) from error
    except UsageError as error:
        raise ProbeFault(str(error)) from error
    for key, message in _misfits(task, probe, own):
        raise ProbeFault(message, key)
    return probe


def is_rewriting(probe: object, of: str | None) -> bool:
    """Whether it asks the rows of another task in other words; one that can do both does where `of` names a task."""
    return hasattr(probe, "variants") and (of is not None or not hasattr(probe, "rows"))


def scoring_options(probe: object) -> frozenset[str]:
    """Its options that change how answers are scored, and not what is asked."""
    return frozenset(getattr(probe, "scoring", _SCORING))


def _misfits(task: ProbeTask, probe: object, own: Collection[str]) -> Iterator[tuple[str, str]]:
    if is_rewriting(probe, task.of):
        if task.of is None:
            yield "", f"the probe {task.probe!r} needs `of`: the task whose rows it rewrites"
        return
    for key in ("of", "fields"):
        if getattr(task, key) is not None and key not in own:
            yield key, f"{key} has no effect: the probe {task.probe!r} brings rows of its own; remove it"
