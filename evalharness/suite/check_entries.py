"""Are the templates of a suite's models and datasets sound, and what it does of errors?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evalharness.core.errors import Problem, UsageError
from evalharness.core.registry import suggestion
from evalharness.core.templating import Condition, Template

from .load import LoadedSuite
from .schema import Dataset, FakeModel, HttpModel
from .variables import Key, shown_path

__all__ = ["entry_problems", "no_field", "own_columns", "unknown_fields"]

# What the templates of a request see; `models.outputs.request_values` gives it.
_REQUEST_NAMES = frozenset({"prompt", "messages", "sampling", "sample_id", "repeat"})


def entry_problems(loaded: LoadedSuite) -> Iterator[Problem]:
    """What is wrong with the templates of models and datasets, and with what becomes of errors."""
    entries = _Entries(loaded)
    yield from entries.errors()
    for name, model in loaded.suite.models.items():
        yield from entries.model(name, model)
    for name, dataset in loaded.suite.datasets.items():
        yield from entries.dataset(name, dataset)


def own_columns(dataset: Dataset) -> frozenset[str]:
    """The columns of inline rows; none where the suite does not tell them."""
    return frozenset(key for row in dataset.rows or () for key in row)


def no_field(name: str, columns: frozenset[str]) -> str:
    """That there is no column `name`, with the nearest one."""
    near = suggestion(name, columns) or f"; the rows have: {', '.join(sorted(columns)[:20])}"
    return f"the dataset has no column {name!r}{near}"


def unknown_fields(template: Template, columns: frozenset[str]) -> Iterator[str]:
    """That the template needs columns which are not among `columns`, unless these are not known."""
    for name in sorted(template.required - columns) if columns else ():
        yield no_field(name, columns)


class _Entries:
    def __init__(self, loaded: LoadedSuite) -> None:
        self.loaded = loaded

    def problem(self, path: Key, message: str) -> Problem:
        return Problem(self.loaded.place_of(path), shown_path(path), message)

    def errors(self) -> Iterator[Problem]:
        policy = self.loaded.suite.execution.on_error
        if policy.count_as == "failure" and policy.max_rate > 0:
            yield self.problem(
                ("execution", "on_error", "max_rate"),
                "has no effect where any failure ends the run (count_as: failure, which is the default); add "
                "count_as: excluded or count_as: wrong, or remove it",
            )

    def model(self, name: str, model: Any) -> Iterator[Problem]:
        if isinstance(model, FakeModel):
            yield from self._request_template(("models", name, "reply"), model.reply)
        elif isinstance(model, HttpModel):
            yield from self._body(("models", name, "body"), model.body)

    def _body(self, path: Key, value: Any) -> Iterator[Problem]:
        if isinstance(value, str):
            yield from self._request_template(path, value)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                yield from self._body((*path, key), item)
        elif isinstance(value, list | tuple):
            for index, item in enumerate(value):
                yield from self._body((*path, index), item)

    def _request_template(self, path: Key, source: str) -> Iterator[Problem]:
        try:
            template = Template(source)
        except UsageError as error:
            yield self.problem(path, str(error))
            return
        for name in sorted(template.required - _REQUEST_NAMES):
            near = suggestion(name, _REQUEST_NAMES) or f"; there is: {', '.join(sorted(_REQUEST_NAMES))}"
            yield self.problem(path, f"the template uses {name!r}, which a request does not have{near}")

    def dataset(self, name: str, dataset: Dataset) -> Iterator[Problem]:
        columns = own_columns(dataset)
        for column, source in dataset.fields.items():
            path: Key = ("datasets", name, "fields", column)
            try:
                for message in unknown_fields(Template(source), columns):
                    yield self.problem(path, message)
            except UsageError as error:
                yield self.problem(path, str(error))
        if dataset.where is not None:
            try:
                condition = Condition(dataset.where)
            except UsageError as error:
                yield self.problem(("datasets", name, "where"), str(error))
            else:
                known = columns and columns | set(dataset.fields)
                for field in sorted(condition.required - known) if known else ():
                    yield self.problem(("datasets", name, "where"), no_field(field, known))
