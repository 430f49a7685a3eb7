"""Runs with other numbers of repeats: of most figures comparable, of those that go by the number refused."""

from __future__ import annotations

import pytest

from evalharness import run
from evalharness.compare.records import compare_records
from evalharness.core.errors import NotComparableError
from evalharness.gate import evaluate_gates
from evalharness.suite.schema import Gates

SUITE = """\
version: 1
name: repeats
models: {{m: {{backend: fake, reply: "same"}}}}
datasets: {{d: {{rows: [{{id: a, q: one}}, {{id: b, q: two}}, {{id: c, q: three}}]}}}}
tasks:
  - id: ask
    dataset: d
    prompt: "{{{{ q }}}}"
    reference: same
    generate: {{repeats: {n}, temperature: 1}}
    metrics: [exact_match, majority_share, repeat_agreement, maj_at_k]
"""


@pytest.fixture
def two_and_three(tmp_path):
    found = []
    for n in (2, 3):
        path = tmp_path / f"{n}.yaml"
        path.write_text(SUITE.format(n=n))
        found.append(run(path, reports=tmp_path / "reports"))
    return found


@pytest.mark.parametrize("metric", ["majority_share", "maj_at_k"])
def test_what_goes_by_the_number_of_answers_is_refused(two_and_three, metric):
    two, three = two_and_three
    with pytest.raises(NotComparableError, match=r"tasks\[ask\].identity.repeats: 3 in .*, 2 in"):
        compare_records([three], two, metrics=[metric])
    gates = Gates.model_validate({"rules": [{"metric": f"ask.{metric}", "max_regression": 0.5}]})
    with pytest.raises(NotComparableError, match="differ in repeats"):
        evaluate_gates(three, gates, baseline=two)
    assert compare_records([two], two, metrics=[metric]).figures


@pytest.mark.parametrize("metric", ["exact_match", "repeat_agreement"])
def test_others_are_compared(two_and_three, metric):
    two, three = two_and_three
    (found,) = compare_records([three], two, metrics=[metric]).figures
    assert (found.value, found.baseline, found.n_paired) == (1.0, 1.0, 3)
