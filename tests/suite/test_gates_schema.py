"""What `gates` accepts and refuses, with the place of each fault."""

import pytest

from evalharness.core.errors import SuiteError
from evalharness.suite.check import check_references
from evalharness.suite.load import load_suite
from evalharness.suite.schema import RULE_KINDS, Gates, Rule

SUITE = """\
version: 1
name: s
models: {{cand: {{backend: fake}}, base: {{backend: fake}}}}
datasets: {{d: {{rows: [{{id: a, q: x, gold: y}}]}}}}
tasks:
  - {{id: t, dataset: d, prompt: "{{{{ q }}}}", reference: "{{{{ gold }}}}", metrics: [exact_match]}}
  - {{id: u, dataset: d, model: cand, prompt: "{{{{ q }}}}", reference: "{{{{ gold }}}}", metrics: [exact_match]}}
  - {{id: v, dataset: d, model: base, prompt: "{{{{ q }}}}", reference: "{{{{ gold }}}}", metrics: [exact_match]}}
gates: {gates}
"""


def problems(tmp_path, gates):
    path = tmp_path / "s.yaml"
    path.write_text(SUITE.format(gates=gates), encoding="utf-8")
    try:
        check_references(load_suite(path))
    except SuiteError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        ("{rules: [{metric: t.exact_match, superior: false}]}", "superior: must be true or a mapping"),
        (
            "{rules: [{metric: t.exact_match, non_inferior: 0.01}]}",
            "non_inferior: must be a mapping, but is the number",
        ),
        ("{rules: [{metric: t.exact_match, equivalent: {margin: -1}}]}", "equivalent.margin: must be at least 0"),
        ("{rules: [{metric: t.exact_match, equivalent: {margin: 0}}]}", "can never be shown; give a margin above 0"),
        ("{rules: [{metric: t.exact_match, superior: {marge: 1}}]}", "did you mean 'margin'?"),
        ("{rules: [{metric: t.exact_match, superior: true, at_least: 1}]}", "given: at_least, superior"),
        ("{rules: [{metric: t.exact_match, superior: true}]}", "rules[0].superior: needs gates.baseline"),
        (
            "{baseline: {model: bse}, rules: [{metric: t.exact_match, superior: true}]}",
            "no model 'bse'",
        ),
        ("{baseline: {model: base}, rules: [{metric: u.exact_match, superior: true}]}", "does not run on 'base'"),
        (
            "{baseline: {model: base}, rules: [{metric: v.exact_match, superior: true}]}",
            "runs on the baseline 'base' alone",
        ),
        ("{alpha: 0.7, rules: [{metric: t.exact_match, at_least: 1}]}", "alpha: must be less than 0.5"),
        ("{missing: worst, rules: [{metric: t.exact_match, at_least: 1}]}", "did you mean 'worst_case'?"),
        ("{correction: bonferroni, rules: [{metric: t.exact_match, at_least: 1}]}", "must be one of holm, none"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(tmp_path, gates, said):
    found = problems(tmp_path, gates)
    assert len([text for text in found if said in text]) == 1, found
    assert all("s.yaml:9" in text for text in found if said in text)


@pytest.mark.parametrize(
    "gates",
    [
        "{baseline: s@production, rules: [{metric: t.exact_match, equivalent: {margin: 0.01}}]}",
        "{baseline: {model: base}, rules: [{metric: t.exact_match, superior: {margin: 0}}]}",
        "{baseline: {model: base}, rules: [{metric: u.exact_match, at_least: 0.5, decide_on: point}]}",
        "{baseline: x, alpha: 0.01, correction: none, rules: [{metric: t.exact_match, max_relative_drop: 0.1}]}",
    ],
)
def test_what_is_right(tmp_path, gates):
    assert problems(tmp_path, gates) == []


def test_every_rule_knows_its_kind_and_its_number():
    given = {"superior": True, **{k: {"margin": 0.5} for k in ("non_inferior", "equivalent")}}
    for kind in RULE_KINDS:
        rule = Rule.model_validate({"metric": "t.m", kind: given.get(kind, 0.5)})
        assert rule.kind == kind
        assert rule.number == (0.0 if kind == "superior" else 0.5)
        assert rule.is_paired == (kind not in ("at_least", "at_most"))


def test_gates_survive_their_dump():
    gates = Gates.model_validate(
        {"baseline": {"model": "b"}, "rules": [{"metric": "t.m", "superior": True}, {"metric": "t.m", "at_most": 0}]}
    )
    assert Gates.model_validate(gates.model_dump(mode="json", exclude_none=True)) == gates
