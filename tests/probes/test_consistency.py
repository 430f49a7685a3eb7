from __future__ import annotations

import pytest

import evalharness
from evalharness.core.errors import SuiteError, UsageError
from evalharness.probes.consistency import Consistency

# One model changes its answer with the seed of the repeat where it is warm, the other never does.
MODELS = """\
version: 1
name: consistency
models:
  steady: {backend: fake, reply: "{{ prompt.split()[-1] }}"}
  fickle:
    backend: fake
    reply: >-
      {% if sampling.temperature > 0.5 and sampling.seed % 3 == 0 %}other{% else %}{{ prompt.split()[-1] }}{% endif %}
datasets:
  words:
    rows: [{w: red, l: a}, {w: blue, l: a}, {w: green, l: b}, {w: black, l: b}]
    groups: [l]
tasks:
  - {id: echo, dataset: words, prompt: "Say {{ w }}", reference: "{{ w }}", generate: {max_tokens: 7},
     metrics: [exact_match, {contains: {ignore_case: true, as: has}}, output_chars]}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(entry):
        (tmp_path / "suite.yaml").write_text(MODELS + entry)
        record = evalharness.run(tmp_path / "suite.yaml")
        return record, {(r.task, r.model, r.metric, r.group): r for r in record.results}

    return run


def test_agreement_and_majority_by_temperature(run):
    record, found = run("  - {id: again, probe: consistency, of: echo, temperatures: [0, 0.7], repeats: 6}\n")
    for task in ("again/t0", "again/t0_7"):
        assert found[task, "steady", "repeat_agreement", None].value == 1
        assert found[task, "steady", "majority_exact_match", None].value == 1
    assert found["again/t0", "fickle", "repeat_agreement", None].value == 1
    warm = {name: found["again/t0_7", "fickle", name, None].value for name in (
        "repeat_agreement", "majority_share", "exact_match", "majority_exact_match", "has", "majority_has",
    )}  # fmt: skip
    # Of six answers two are another word: 4·3 + 2·1 of 30 pairs agree.
    assert warm == pytest.approx(
        {"repeat_agreement": 14 / 30, "majority_share": 4 / 6, "exact_match": 4 / 6, "majority_exact_match": 1,
         "has": 4 / 6, "majority_has": 1}
    )  # fmt: skip
    assert found["again/t0_7", "fickle", "exact_match", "l=a"].n == 2
    assert found["again/t0_7", "fickle", "repeat_agreement", None].n == 4
    task = next(t for t in record.manifest.suite["tasks"] if t["id"] == "again/t0_7")
    assert task["generate"] == {"max_tokens": 7, "temperature": 0.7, "repeats": 6}


def test_one_temperature_has_the_id_of_the_entry(run):
    _, found = run("  - {id: again, probe: consistency, of: echo, also: [distinct_n]}\n")
    assert found["again", "steady", "repeat_agreement", None].value == 1
    assert ("again", "steady", "distinct_n", None) in found


def test_choices_by_likelihood_are_not_generated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chosen = (
        '  - {id: pick, dataset: words, prompt: "{{ w }}", choices: [a, b], target: "{{ l }}", metrics: [accuracy]}\n'
    )
    (tmp_path / "suite.yaml").write_text(MODELS + chosen + "  - {id: again, probe: consistency, of: pick}\n")
    with pytest.raises(SuiteError, match="choices are scored by likelihood"):
        evalharness.run(tmp_path / "suite.yaml")


@pytest.mark.parametrize(
    ("options", "said"),
    [({"temperatures": ()}, "temperatures"), ({"temperatures": (1, 1)}, "different"), ({"repeats": 1}, "from 2 to")],
)
def test_wrong_options(options, said):
    with pytest.raises(UsageError, match=said):
        Consistency(**options)
