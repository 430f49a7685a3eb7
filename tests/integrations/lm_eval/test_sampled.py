"""Sampled answers of local checkpoints: what neither task nor suite says is as with lm-eval's `hf`, and recorded."""

import json

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.model,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]


@pytest.fixture
def sampled(run, tmp_path, tasks):
    """The sampling of each distinct request of a task with these settings, to a checkpoint with those of its own."""
    pytest.importorskip("torch")
    from .engine.conftest import make_checkpoint

    def go(settings, *, own=None, generate=None, model="local"):
        folder = tmp_path / "tasks"
        folder.mkdir()
        (folder / "rows.jsonl").write_text('{"a": "The capital", "b": "x"}\n')
        task = {
            "task": "drawn", "dataset_path": "json", "test_split": "test", "output_type": "generate_until",
            "dataset_kwargs": {"data_files": {"test": str(folder / "rows.jsonl")}}, "doc_to_text": "{{a}}",
            "doc_to_target": "{{b}}", "generation_kwargs": {"until": ["."], "max_gen_toks": 3, **settings},
            "metric_list": [{"metric": "exact_match"}],
        }  # fmt: skip
        (folder / "drawn.yaml").write_text(json.dumps(task))
        checkpoint = make_checkpoint(tmp_path / "checkpoint", "llama", **(own or {}))
        entry = {"id": "t", "lm_eval": "drawn", "include_path": str(folder), "model": model}
        record = run(
            entry if generate is None else {**entry, "generate": generate},
            models=f"  local: {{backend: hf-causal, path: {checkpoint}, device: cpu}}\n",
        )
        return {(r.request.sampling.top_k, r.request.sampling.top_p) for r in record.iter_samples(task="t")}

    return go


@pytest.mark.parametrize(
    ("settings", "own", "found"),
    [
        ({"do_sample": True, "temperature": 0.7}, {}, (50, None)),
        ({"do_sample": True, "temperature": 0.7, "top_k": 0}, {"top_k": 9, "do_sample": True}, (None, None)),
        ({"do_sample": True, "temperature": 0.7}, {"top_k": 9, "top_p": 0.8, "do_sample": True}, (9, 0.8)),
        ({"do_sample": True, "temperature": 0.7, "top_p": 0.5}, {"top_p": 0.8, "do_sample": True}, (50, 0.5)),
        ({"do_sample": False}, {"top_k": 9, "do_sample": True}, (None, None)),
    ],
)
def test_the_checkpoint_and_transformers_say_the_rest(sampled, settings, own, found):
    assert sampled(settings, own=own) == {found}


def test_the_suite_has_the_last_word(sampled):
    assert sampled(
        {"do_sample": False}, own={"top_k": 9, "do_sample": True}, generate={"temperature": 0.5, "top_p": 0.7}
    ) == {(9, 0.7)}


def test_other_backends_keep_their_own_defaults(sampled):
    assert sampled({"do_sample": True, "temperature": 0.7}, model="fake") == {(None, None)}
