"""A metric of the user's own: what it may leave out, and every way in which it may be wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from evalharness.core.errors import NotComparableError, UsageError
from evalharness.core.types import Response, Sample
from evalharness.metrics.functional import score
from evalharness.metrics.python import PythonMetric

MEAN = """
from evalharness.metrics.base import MeanMetric, answer_text

WORDS = ("please", "thanks")


class Politeness(MeanMetric):
    name = "politeness"
    needs = frozenset()
    higher_is_better = True

    def __init__(self, weight=1.0):
        self.weight = weight

    def values(self, samples, responses):
        return [self.weight * any(w in answer_text(r).lower() for w in WORDS) for r in responses]
"""
BARE = """
import numpy as np


class Ratio:
    name = "ratio"
    columns = ["n", "words", "commas"]

    def sample_stats(self, samples, responses):
        return [[1, len(r.text.split()), r.text.count(",")] for r in responses]

    def finalize(self, totals):
        with np.errstate(invalid="ignore", divide="ignore"):
            return totals[..., 2] / totals[..., 1]
"""
SAMPLES = [Sample(id=f"s{i}", digest="", prompt="") for i in range(3)]
RESPONSES = [Response(f"s{i}", text=text) for i, text in enumerate(["Yes, please", "no", "thanks"])]


@pytest.fixture
def write(tmp_path):
    """Writes the module own.py, and gives the metric of a class in it."""

    def made(source, name="own:Metric", **options):
        (tmp_path / "own.py").write_text(textwrap.dedent(source), encoding="utf-8")
        return PythonMetric(path=name, options=options)

    return made


def loaded(metric, base):
    return metric.for_run(base=base, allow_code=True)


def test_a_mean(write, tmp_path):
    metric = loaded(write(MEAN, "own:Politeness", weight=0.5), tmp_path)
    assert metric.sample_stats(SAMPLES, RESPONSES).tolist() == [[1, 0.5], [1, 0], [1, 0.5]]
    assert (metric.columns, metric.bounds, metric.interval) == (("n", "sum"), (0.0, 1.0), "mean")
    found = score(write(MEAN, "own:Politeness"), [r.text for r in RESPONSES], base=tmp_path, allow_code=True)
    assert found.value == pytest.approx(2 / 3)
    assert found.summary.method == "score-t"


def test_a_class_of_ones_own_without_any_of_ours(write, tmp_path):
    metric = loaded(write(BARE, "own:Ratio"), tmp_path)
    rows = metric.sample_stats(SAMPLES, RESPONSES)
    assert rows.dtype == np.float64
    assert metric.finalize(rows.sum(axis=0)) == pytest.approx(1 / 4)
    assert (metric.interval, metric.kinds, metric.needs) == ("bootstrap", {"generate"}, frozenset())
    assert metric.for_task(("a", "b")) is metric


def test_the_signature_follows_source_and_options_and_reads_a_record(write, tmp_path):
    first = loaded(write(MEAN, "own:Politeness"), tmp_path)
    assert first.signature == loaded(write(MEAN, "own:Politeness"), tmp_path).signature
    assert first.signature != loaded(write(MEAN, "own:Politeness", weight=2), tmp_path).signature
    changed = loaded(
        write(MEAN.replace("thanks", "merci").replace("r = True", "r = False"), "own:Politeness"), tmp_path
    )
    assert first.signature != changed.signature
    assert changed.sample_stats(SAMPLES, RESPONSES)[2].tolist() == [1, 0], "the module is imported anew"
    for metric in (first, changed):
        recorded = PythonMetric(path="own:Politeness").as_recorded(metric.signature)
        assert recorded.signature == metric.signature
        for attribute in ("higher_is_better", "bounds", "interval"):
            assert getattr(recorded, attribute) == getattr(metric, attribute)
        assert recorded.finalize(np.array([[4.0, 1.0]])).tolist() == [0.25]
    own = PythonMetric(path="own:Ratio").as_recorded(loaded(write(BARE, "own:Ratio"), tmp_path).signature)
    with pytest.raises(NotComparableError, match=r"made by your code; use at_least or at_most"):
        own.finalize(np.zeros(3))


def test_code_is_off_unless_allowed(write, tmp_path):
    metric = write("raise SystemExit('ran')", "own:Metric")
    with pytest.raises(UsageError, match=r"python runs code of the suite's \(own:Metric\).*--allow-code"):
        metric.for_run(base=tmp_path, allow_code=False)
    with pytest.raises(UsageError, match="not loaded"):
        metric.sample_stats(SAMPLES, RESPONSES)
    assert list(metric.faults(tmp_path)) == [], "nothing is imported to look for it"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("own", "must be module:Class, such as my_metrics:Politeness"),
        ("own.py:Metric", "no Python module 'own.py'"),
        ("owm:Metric", r"there is no Python module 'owm' in .* the module's path starting at the suite's folder"),
    ],
)
def test_paths_that_name_nothing(write, tmp_path, path, says):
    write(BARE)
    metric = PythonMetric(path=path)
    ((option, _),) = metric.faults(tmp_path)
    assert option == "path"
    with pytest.raises(UsageError, match=says):
        loaded(metric, tmp_path)


HEAD = "import numpy as np\n"
CLASS = """
class Metric:
    name, columns = "m", ("n", "x")
    def sample_stats(self, samples, responses): return np.ones((len(samples), 2))
    def finalize(self, totals): return totals[..., 1]
"""


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import nowhere_to_be_found", r"own cannot be imported: ModuleNotFoundError: .*nowhere.*own.py:2"),
        ("def f(:", r"own cannot be imported: SyntaxError"),
        ("class Metrics: pass", r"own has no class 'Metric'; did you mean 'Metrics'"),
        ("def Metric(): pass", r"own:Metric is a function, not a class"),
        ("Metric = 3", r"own:Metric is a int, which cannot be called"),
        ("class Metric:\n    name = 'm'", r"is no metric: it has no columns and no sample_stats and no finalize"),
        ("class Metric:\n    def __init__(self): 1 / 0", r"cannot be made: ZeroDivisionError: .*own.py:3 in __init__"),
        ("class Metric:\n    def __init__(self, x): pass", r"cannot be made as Metric\(\): missing a required arg"),
        (CLASS.replace('("n", "x")', '("x", "n")'), r"columns must be distinct names of which the first is 'n'"),
        (CLASS.replace('("n", "x")', '"nx"'), r"columns must be distinct names"),
        (CLASS + "    interval = 'median'", r"interval must be one of proportion, mean, bootstrap, not 'median'"),
        (CLASS + "    bounds = (1, 0)", r"bounds must be two numbers, the lower first"),
        (CLASS + "    kinds = {'chat'}", r"kinds must be some of generate"),
        (CLASS.replace("totals[..., 1]", "totals[1]"), r"finalize gave the shape \(3, 2\) for totals of"),
        (CLASS.replace("totals[..., 1]", "totals.sum()"), r"finalize gave the shape \(\) for totals of"),
        (CLASS.replace("totals[..., 1]", "'high'"), r"finalize gave no array of numbers"),
        (CLASS.replace("totals[..., 1]", "1 / 0"), r"failed in finalize: ZeroDivisionError: .*own.py:6 in finalize"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_before_a_model_is_asked(write, tmp_path, source, says):
    with pytest.raises(UsageError, match=says):
        loaded(write(HEAD + source), tmp_path)


STATS = "np.ones((len(samples), 2))"


@pytest.mark.parametrize(
    ("stats", "says"),
    [
        ("np.ones((len(samples), 3))", r"sample_stats gave the shape \(3, 3\), not \(3, 2\): .* the columns n, x"),
        ("np.ones((1, 2)) if samples else []", r"gave the shape \(1, 2\), not \(3, 2\): one row a sample"),
        ("['a' for s in samples]", r"sample_stats gave no array of numbers"),
        (
            "[[1, float('nan') if s.id == 's1' else 0] for s in samples]",
            r"nan in the column 'x' of the sample 's1' \(1 in",
        ),
        ("[[1, float('inf')] for s in samples]", r"inf in the column 'x' of the sample 's0' \(3 in all\)"),
        ("[[0, 1] for s in samples]", r"the row of the sample 's0' is \[0.0, 1.0\]: its first number, n, is 1"),
        ("[[2, 1] for s in samples]", r"the row of the sample 's0' is \[2.0, 1.0\]"),
        ("[[1, 1 / (s.id != 's2')] for s in samples]", r"on the sample 's2': ZeroDivisionError: .*own.py:5 in"),
        ("exec('raise KeyError(3)') or [] if len(samples) == 3 else []", r"failed in sample_stats: KeyError: 3"),
    ],
)
def test_wrong_rows_name_sample_and_column(write, tmp_path, stats, says):
    metric = loaded(write(HEAD + CLASS.replace(STATS, stats)), tmp_path)
    with pytest.raises(UsageError, match=says):
        metric.sample_stats(SAMPLES, RESPONSES)


def test_an_installed_package_adds_a_metric_by_its_entry_point(tmp_path):
    """A real package, installed by pip into a folder, under a suite that names its metric like one of ours."""
    package, site = tmp_path / "package", tmp_path / "site"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "acme-metrics"\nversion = "1.0"\n'
        '[project.entry-points."evalharness.metrics"]\nacme_politeness = "acme_metrics:Politeness"\n'
        '[tool.setuptools]\npy-modules = ["acme_metrics"]\n'
    )
    source = MEAN.replace('name = "politeness"', 'name = "acme_politeness"')
    (package / "acme_metrics.py").write_text(f'"""Metrics of Acme."""{source}')
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    options = ["--disable-pip-version-check", "--root-user-action=ignore", "--target", str(site), str(package)]
    done = subprocess.run([*pip, *options], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"pip cannot build a package here: {done.stderr[-300:]}")
    suite = (
        "version: 1\nname: acme\nmodels: {echo: {backend: fake, reply: '{{ prompt }}'}}\n"
        "datasets: {lines: {rows: [{id: a, q: yes please}, {id: b, q: now}]}}\n"
        "tasks:\n- {id: ask, dataset: lines, prompt: '{{ q }}', metrics: [{acme_politeness: {as: polite}}]}\n"
    )
    (tmp_path / "suite.yaml").write_text(suite)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sys.path])}

    def run(*arguments):
        command = [sys.executable, "-m", "evalharness", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    ran = run("run", "suite.yaml")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "polite" in ran.stdout
    assert "0.5" in ran.stdout
    assert "acme_politeness" in run("list", "metrics").stdout
    (tmp_path / "suite.yaml").write_text(suite.replace("{as: polite}", "{weight: 0.5, as: polite}"))
    assert "0.25" in run("run", "suite.yaml").stdout
    (tmp_path / "suite.yaml").write_text(suite.replace("{as: polite}", "{wieght: 0.5}"))
    wrong = run("validate", "suite.yaml")
    assert wrong.returncode == 2
    assert "the metric 'acme_politeness' cannot be made as acme_politeness(wieght=…)" in wrong.stdout + wrong.stderr
