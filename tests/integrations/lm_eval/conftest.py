"""Small tasks of every kind in lm-eval's own format, and a fake model that lm-eval and we ask alike."""

import json
from types import SimpleNamespace

import pytest

pytest.importorskip("lm_eval")

FEW = """
test_split: test
training_split: train
fewshot_split: train
dataset_path: json
dataset_kwargs:
  data_files: {{train: {folder}/train.jsonl, test: {folder}/test.jsonl}}
  cache_dir: {folder}/cache
metadata: {{version: 1.0}}
"""

TASKS = {
    "mini_choice": """
include: base_yaml
task: mini_choice
tag: mini_tag
output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: "{{label}}"
doc_to_choice: "{{choices}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
  - {metric: acc_bytes, aggregation: mean, higher_is_better: true}
  - {metric: brier_score, aggregation: brier_score, higher_is_better: false}
  - {metric: mcc, aggregation: matthews_corrcoef, higher_is_better: true}
""",
    "mini_binary": """
include: base_yaml
task: mini_binary
tag: mini_tag
output_type: multiple_choice
doc_to_text: "{{question}} True?"
doc_to_target: "{{label % 2}}"
doc_to_choice: ["no", "yes"]
metric_list:
  - {metric: f1, aggregation: f1, higher_is_better: true}
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
    "mini_mutual": """
include: base_yaml
task: mini_mutual
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_target: "{{label}}"
doc_to_choice: "{{choices}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_mutual_info, aggregation: mean, higher_is_better: true}
""",
    "mini_inputs": """
include: base_yaml
task: mini_inputs
output_type: multiple_choice
doc_to_text: "{{label}}"
doc_to_choice: "{{choices | map('upper') | list}}"
doc_to_target: "is the answer to {{question}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
    "mini_generate": """
include: base_yaml
task: mini_generate
output_type: generate_until
doc_to_text: "Q: {{question}}\\nA:"
doc_to_target: "{{answer}}"
repeats: 3
generation_kwargs: {until: ["\\n\\n", "Q:"], max_gen_toks: 17, do_sample: true, temperature: 0.7}
filter_list:
  - name: strict-match
    filter:
      - {function: regex, regex_pattern: "#### (\\\\-?[0-9]+)"}
      - {function: take_first}
  - name: majority
    filter:
      - {function: regex, regex_pattern: "(-?[0-9]+)", group_select: -1}
      - {function: majority_vote}
      - {function: take_first}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true, ignore_punctuation: false}
""",
    "mini_overlap": """
include: base_yaml
task: mini_overlap
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{question}} {{answer}} and more"
generation_kwargs: {until: ["\\n"]}
metric_list:
  - {metric: bleu}
  - {metric: chrf}
  - {metric: ter}
""",
    "mini_rolling": """
include: base_yaml
task: mini_rolling
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{question}} {{choices | join(' ')}}"
metric_list:
  - {metric: word_perplexity}
  - {metric: byte_perplexity}
  - {metric: bits_per_byte}
""",
    "mini_last": """
include: base_yaml
task: mini_last
output_type: loglikelihood
doc_to_text: "{{question}}"
doc_to_target: " {{answer}}"
metric_list:
  - {metric: perplexity, aggregation: perplexity, higher_is_better: false}
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
    "mini_own": """
include: base_yaml
task: mini_own
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"]}
process_results: !function own.process_results
metric_list:
  - {metric: length, aggregation: !function own.spread, higher_is_better: false}
  - {metric: middle, aggregation: median, higher_is_better: true}
""",
    "mini_class": """
task: mini_class
class: !function own.Mixed
""",
    "mini_deep": """
group: mini_deep
task: [{group: mini_deep_inner, task: [mini_own]}]
""",
    "mini_group": """
group: mini_group
task:
  - mini_choice
  - mini_binary
  - group: mini_inner
    task: [mini_mutual]
    aggregate_metric_list: [{metric: acc, weight_by_size: false}]
aggregate_metric_list:
  - {metric: acc, weight_by_size: true}
  - {metric: acc_norm, weight_by_size: false}
  - {metric: f1, weight_by_size: true}
""",
}
OWN = """
import datasets
from lm_eval.api.instance import Instance
from lm_eval.api.metrics import mean
from lm_eval.api.task import ConfigurableTask


def process_results(doc, results):
    return {"length": (doc["answer"], results[0]), "middle": len(results[0]) + doc["label"]}


def spread(items):
    return max(len(text) for _, text in items) - min(len(gold) for gold, _ in items)


class Mixed(ConfigurableTask):
    VERSION = 3

    def __init__(self, config=None):
        super().__init__(config={"task": "mini_class", "metadata": {"version": 3}})

    def download(self, *args, **kwargs):
        self.dataset = {"test": datasets.load_dataset("json", data_files=FILE, cache_dir=CACHE)["train"]}

    def has_training_docs(self):
        return False

    def has_validation_docs(self):
        return False

    def has_test_docs(self):
        return True

    def test_docs(self):
        return self.dataset["test"]

    def fewshot_docs(self):
        return self.dataset["test"]

    def doc_to_text(self, doc, doc_to_text=None):
        return doc["question"]

    def doc_to_target(self, doc, doc_to_target=None):
        return doc["answer"]

    def construct_requests(self, doc, ctx, **kwargs):
        kwargs = {"metadata": kwargs["metadata"]}
        return [
            Instance(request_type="generate_until", doc=doc, arguments=(ctx, {"until": ["END"]}), idx=0, **kwargs),
            Instance(request_type="loglikelihood", doc=doc, arguments=(ctx, " unknown"), idx=1, **kwargs),
            Instance(request_type="loglikelihood", doc=doc, arguments=("", " unknown"), idx=2, **kwargs),
            Instance(request_type="loglikelihood", doc=doc, arguments=(ctx, " " + doc["answer"]), idx=3, **kwargs),
        ]

    def process_results(self, doc, results):
        text, (unknown, _), (alone, _), (known, greedy) = results
        return {"long": len(text), "gain": known - unknown, "lift": unknown - alone, "greedy": greedy}

    def aggregation(self):
        return {key: mean for key in ("long", "gain", "lift", "greedy")}

    def higher_is_better(self):
        return {key: True for key in ("long", "gain", "lift", "greedy")}
"""


def rows(n, start=0):
    words = ["apple", "river", "stone", "cloud", "tiger", "lemon", "piano"]
    return [
        {
            "question": f"What is {words[i % 7]} {i} plus {words[(i * 3 + 1) % 7]}",
            "choices": [f"{words[(i + k) % 7]} {k}" * (1 + (i + k) % 3) for k in range(3)],
            "label": (i * 5 + 1) % 3,
            "answer": str(i % 4),
            "topic": words[i % 2],
        }
        for i in range(start, start + n)
    ]


@pytest.fixture(scope="session")
def tasks(tmp_path_factory):
    """A folder for `include_path` that holds the tasks above."""
    folder = tmp_path_factory.mktemp("lm_eval_tasks")
    for name, part in (("train", rows(12, 100)), ("test", rows(23))):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    (folder / "base_yaml").write_text(FEW.format(folder=folder), encoding="utf-8")
    for name, text in TASKS.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    names = f'FILE = "{folder}/test.jsonl"\nCACHE = "{folder}/cache"\n'
    (folder / "own.py").write_text(names + OWN, encoding="utf-8")
    return folder


REPLY = "{{ '#### ' if prompt|length % 3 else 'so ' }}{{ (prompt|length + repeat) % 4 }} {{ prompt[-9:] }}"


@pytest.fixture
def suite(tmp_path, tasks):
    """Writes a suite over the fake model with the given tasks, and gives its path."""

    def write(*entries, gates="", models="", execution=""):
        text = f"""
version: 1
name: bridged
models:
  fake: {{backend: fake, reply: {json.dumps(REPLY)}}}
{models}
tasks:
""" + "".join(f"  - {json.dumps({'include_path': str(tasks), **entry})}\n" for entry in entries)
        path = tmp_path / "suite.yaml"
        path.write_text(text + gates + execution, encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def peer(tasks):
    """`lm_eval.simple_evaluate` with a model that answers as the fake one does; returns its result dictionary."""
    import contextlib
    import io

    import lm_eval
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    from evalharness.core.templating import Template
    from evalharness.models.fake import fake_likelihood

    class Same(LM):
        def __init__(self):
            super().__init__()
            self.reply = Template(REPLY)
            self.asked = {}

        def loglikelihood(self, requests, disable_tqdm=False):
            found = [fake_likelihood(_plain(r.args[0]), r.args[1]) for r in requests]
            return [(f.total, f.is_greedy) for f in found]

        def loglikelihood_rolling(self, requests, disable_tqdm=False):
            return [fake_likelihood("", r.args[0]).total for r in requests]

        def generate_until(self, requests, disable_tqdm=False):
            answers = []
            for request in requests:
                context = str(request.args[0])
                repeat = self.asked.get(id(request), 0)
                self.asked[id(request)] = repeat + 1
                answers.append(self.reply.text({"prompt": context, "repeat": repeat}))
            return answers

        def apply_chat_template(self, chat_history, add_generation_prompt=True):
            return json.dumps([[turn["role"], turn["content"]] for turn in chat_history])

        @property
        def tokenizer_name(self):
            return "same"

    def _plain(context):
        # A chat context goes by as the turns that it was made of.
        if context.startswith('[["'):
            return [{"role": role, "content": content} for role, content in json.loads(context)]
        return context

    manager = TaskManager(include_defaults=False, include_path=str(tasks))

    def evaluate(*names, **options):
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            return lm_eval.simple_evaluate(
                model=Same(),
                tasks=list(names),
                task_manager=manager,
                bootstrap_iters=0,
                confirm_run_unsafe_code=True,
                **options,
            )

    return evaluate


@pytest.fixture
def run(suite, tmp_path):
    """Runs a suite with these tasks on the fake model."""
    from evalharness.runner import run as run_suite

    def go(*entries, allow_code=True, **options):
        parts = {key: options.pop(key) for key in ("gates", "models", "execution") if key in options}
        return run_suite(suite(*entries, **parts), reports=tmp_path / "reports", allow_code=allow_code, **options)

    return go


def figures(record, task):
    """{metric: value} of the task's figures that come from lm-eval."""
    return {r.metric: r.value for r in record.results if r.task == task and r.signature.startswith("lm_eval|")}


def theirs(results):
    """{our name: value} of one entry of lm-eval's results."""
    found = {}
    keys = [key for key in results if "," in key and "_stderr" not in key]
    several = len({key.partition(",")[2] for key in keys}) > 1
    for key in keys:
        metric, _, name = key.partition(",")
        found[f"{metric}@{name}" if several else metric] = results[key]
    return found


@pytest.fixture
def compared():
    return SimpleNamespace(figures=figures, theirs=theirs)
