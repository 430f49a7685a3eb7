"""The suites of the quick start, as files; what they come to on real models is in `tests/suites/`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evalharness.catalog import DATASETS, MODELS
from evalharness.cli.main import main
from evalharness.suite.load import load_suite

SUITES = Path(__file__).parents[2] / "suites"
NAMES = ["quickstart.yaml", "quickstart-fails.yaml"]


def _used() -> tuple[list[str], list[str]]:
    suite = load_suite(SUITES / "quickstart.yaml").suite
    models = [model.path.removeprefix("catalog:") for model in suite.models.values()]  # type: ignore[union-attr]
    paths = [data.path for data in suite.datasets.values() if data.path]
    return models, [path.removeprefix("catalog:").partition("/")[0] for path in paths]


def test_it_uses_what_the_catalogue_makes_and_says_how() -> None:
    models, datasets = _used()
    assert set(models) <= set(MODELS)
    assert set(datasets) <= set(DATASETS)
    text = (SUITES / "quickstart.yaml").read_text()
    for verb, names in (("fetch-model", models), ("fetch-data", datasets)):
        (line,) = re.findall(rf"evalharness {verb} ([a-z0-9- ]+?)(?:  |\n)", text)
        assert set(line.split()) == set(names)


@pytest.mark.parametrize("name", NAMES)
def test_the_editor_is_told_the_schema(name: str) -> None:
    assert (SUITES / name).read_text().startswith("# yaml-language-server: $schema=suite.schema.json\n")


def test_the_schema_beside_the_suites_is_the_one_of_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    found = (SUITES / "suite.schema.json").read_text()
    assert found == capsys.readouterr().out, "run: evalharness schema > suites/suite.schema.json"
