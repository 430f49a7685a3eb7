import pytest

from evalharness.core.errors import SuiteError
from evalharness.gate.policy import load_policy

SUITE = """\
version: 1
name: support
models: {m: {backend: fake}}
datasets: {d: {rows: [{id: a, text: hello}]}}
tasks: [{id: echo, dataset: d, prompt: "{{ text }}", metrics: [exact_match], reference: "{{ text }}"}]
"""
RULES = "rules: [{metric: echo.exact_match, at_least: 0.5}]"


@pytest.mark.parametrize("text", [f"gates: {{{RULES}}}", RULES, f"{SUITE}gates: {{{RULES}}}"])
def test_three_forms(tmp_path, text):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    gates = load_policy(path)
    assert gates.rules[0].metric == "echo.exact_match"
    assert gates.rules[0].at_least == 0.5


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        ("gates:\n  rules:\n    - {metric: a.b, at_leest: 1}\n", "3:21", "did you mean 'at_least'?"),
        ("gates:\n  rules:\n    - {metric: ab, at_least: 1}\n", "3:16", "task.metric"),
        ("rules: [{metric: a.b}]\n", "1:9", "exactly one of"),
        ("rules: []\n", "1:8", "at least 1"),
        ("gates: {rules: [{metric: a.b, at_least: 1}], decide_on: both}\n", "1:57", "must be one of"),
        ("gates:\n", "1:1", "gates"),
        ("", "1:1", "empty"),
        ("- 1\n", "1:1", "a policy is a mapping"),
        ("gates: {rules: 1}\ngates: {rules: 2}\n", "2:1", "second time"),
        ("rules: [\n", "2:1", "syntax"),
        (SUITE, "1:1", "has none"),
        ("{gates: {rules: [{metric: a.b, at_least: 1}]}, extra: 1}\n", "1:48", "unknown key 'extra'"),
    ],
)
def test_faults_have_their_place(tmp_path, text, place, part):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(SuiteError) as refused:
        load_policy(path)
    lines = str(refused.value).splitlines()
    assert any(line.startswith(f"{path}:{place}") and part in line for line in lines), lines


def test_all_faults_at_once(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("rules:\n- {metric: a.b, at_least: x}\n- {metric: a.b, at_most: 1, tier: blok}\n")
    with pytest.raises(SuiteError) as refused:
        load_policy(path)
    assert {p.place.line for p in refused.value.problems} >= {2, 3}


def test_missing_file(tmp_path):
    (tmp_path / "gates.yaml").write_text(RULES)
    with pytest.raises(SuiteError, match=r"no such file; did you mean 'gates\.yaml'"):
        load_policy(tmp_path / "gate.yaml")


def test_the_value_of_a_group_may_hold_line_ends_and_signs_of_equality(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text('rules: [{metric: a.b, at_least: 1, group: "g=x\\ny=z"}]\n')
    assert load_policy(path).rules[0].group == "g=x\ny=z"
