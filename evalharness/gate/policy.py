"""Gates from a file of their own: a whole suite, a mapping with only `gates`, or the body of one."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import Problem, SuiteError
from ..suite.schema import Gates

__all__ = ["load_policy"]

_OF_A_SUITE = frozenset({"version", "name", "models", "datasets", "tasks", "extends"})
# The rest of a suite, so that a lone `gates` is checked by the suite's own schema, with its places and suggestions.
_AROUND = """\
version: 1
name: policy
models: {model: {backend: fake}}
datasets: {data: {rows: [{id: a}]}}
tasks: [{id: task, dataset: data, prompt: text}]
"""


def load_policy(path: str | Path) -> Gates:
    """The gates in the file `path`.

    Raises:
        SuiteError: all that is wrong with it, each with file, line and column.
    """
    from ..suite.faults import check_shape
    from ..suite.load import load_suite
    from ..suite.node import Entry, Node
    from ..suite.yamlfile import parse, read

    path = Path(path)
    root, problems = read(path, shown=str(path))
    if root is None or problems:
        raise SuiteError(problems)
    if not isinstance(root.value, dict):
        message = "a policy is a mapping: gates: {rules: [{metric: task.metric, at_least: 0.8}]}"
        raise SuiteError([Problem(root.place, "gates", message)])
    keys = set(root.mapping)
    if keys & _OF_A_SUITE:
        gates = load_suite(path).suite.gates
        if gates is None:
            raise SuiteError([Problem(root.place, "gates", "the suite has none; add gates: {rules: […]}")])
        return gates
    body = dict(root.mapping)
    if "gates" not in keys:
        body = {"gates": Entry(root.place, root)}
    around, _ = parse(_AROUND, shown=str(path))
    assert around is not None  # a text of ours
    whole = Node({**around.mapping, **body}, root.place)
    suite, problems = check_shape(whole, whole)
    if suite is None or suite.gates is None:
        raise SuiteError(problems or [Problem(root.place, "gates", "is empty; it needs rules")])
    return suite.gates
