from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
import pytest

from evalharness.core.errors import UsageError
from evalharness.data.load import LoadedDataset, load
from evalharness.suite.schema import Dataset

_ENVIRONMENT = jinja2.Environment(undefined=jinja2.StrictUndefined)


def _render(template: str, fields: Mapping[str, Any]) -> str:
    try:
        return _ENVIRONMENT.from_string(template).render(fields)
    except jinja2.TemplateError as error:
        raise UsageError(str(error)) from error


def _condition(expression: str, fields: Mapping[str, Any]) -> bool:
    try:
        return bool(_ENVIRONMENT.compile_expression(expression, undefined_to_none=False)(**fields))
    except jinja2.TemplateError as error:
        raise UsageError(str(error)) from error


@pytest.fixture
def load_dataset(tmp_path: Path) -> Callable[..., LoadedDataset]:
    """Loads a dataset of the schema's keys, in a suite that stands in `tmp_path`."""

    def run(**keys: Any) -> LoadedDataset:
        return load("d", Dataset(**keys), base=tmp_path, render=_render, condition=_condition)

    return run
