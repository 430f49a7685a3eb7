"""Metric scripts of huggingface/evaluate, written into folders."""

from __future__ import annotations

import textwrap

import pytest

pytest.importorskip("evaluate", reason="needs the evaluate extra")

HEAD = """
import datasets
import evaluate

class Made(evaluate.Metric):
    def _info(self):
        return evaluate.MetricInfo(description="made", citation="", inputs_description="",
                                   features=datasets.Features({features}))

    def _compute(self, {arguments}):
"""
TEXT = 'datasets.Value("string")'


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory):
    """Scripts are copied into the hub's cache of modules, and evaluate makes folders in its own."""
    folder = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        if "evaluate" not in __import__("sys").modules:
            patch.setenv("HF_MODULES_CACHE", str(folder / "modules"))
            patch.setenv("HF_METRICS_CACHE", str(folder / "metrics"))
        yield


@pytest.fixture
def script(tmp_path):
    """`script(name, body, features=…)`: a folder with the metric script of this `_compute`."""

    def write(name, body, *, predictions=TEXT, references=TEXT, arguments="predictions, references", **more):
        features = {"predictions": predictions, "references": references, **more}
        shown = "{" + ", ".join(f'"{key}": {value}' for key, value in features.items() if value) + "}"
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        text = HEAD.format(features=shown, arguments=arguments) + textwrap.indent(textwrap.dedent(body), " " * 8)
        (folder / f"{name}.py").write_text(text)
        return folder

    return write
