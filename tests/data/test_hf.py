from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evalharness.core.errors import UsageError
from evalharness.data.load import LoadedDataset

pytestmark = pytest.mark.model
datasets = pytest.importorskip("datasets")
Load = Callable[..., LoadedDataset]
ROWS = [{"text": f"t{i}", "label": i % 2, "tags": ["a", None]} for i in range(5)]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf-cache")
    datasets.disable_progress_bars()


@pytest.fixture
def dataset() -> datasets.Dataset:
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["neg", "pos"]),
            "tags": datasets.List(datasets.Value("string")),
        }
    )
    return datasets.Dataset.from_list(ROWS, features=features)


def test_a_saved_dataset(load_dataset: Load, dataset: datasets.Dataset, tmp_path: Path) -> None:
    dataset.save_to_disk(tmp_path / "saved")
    data = load_dataset(hf="saved", groups=["label"])
    assert [r.fields for r in data.rows] == ROWS
    assert [r.groups["label"] for r in data.rows] == ["0", "1", "0", "1", "0"]
    assert data.source == "hf:saved"
    assert str(data.rows[1].place) == f"hf:{tmp_path / 'saved'}:2"


def test_a_selection_keeps_its_order(load_dataset: Load, dataset: datasets.Dataset, tmp_path: Path) -> None:
    dataset.select([3, 1]).save_to_disk(tmp_path / "saved")
    assert [r.fields["text"] for r in load_dataset(hf="saved").rows] == ["t3", "t1"]


def test_the_digest_is_of_the_rows_wherever_they_are(
    load_dataset: Load, dataset: datasets.Dataset, tmp_path: Path
) -> None:
    dataset.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"test": dataset}).save_to_disk(tmp_path / "two")
    dataset.select([0, 1]).save_to_disk(tmp_path / "three")
    one, two, three = (load_dataset(hf=name).digest for name in ("one", "two", "three"))
    assert one == two != three
    assert load_dataset(hf="one", where="label == 1", limit=1, sha256=one).digest == one
    with pytest.raises(UsageError, match=f"expected sha256 {'0' * 64}, found {one}"):
        load_dataset(hf="one", sha256="0" * 64)


def test_splits(load_dataset: Load, dataset: datasets.Dataset, tmp_path: Path) -> None:
    parts = {"train": dataset.select([0]), "validation": dataset.select([1])}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "parts")
    assert [r.fields["text"] for r in load_dataset(hf="parts", split="validation").rows] == ["t1"]
    with pytest.raises(UsageError, match="no split named test; choose one with `split:` from: train, validation"):
        load_dataset(hf="parts")
    with pytest.raises(UsageError, match=r"no split 'valid'; did you mean 'validation'\?"):
        load_dataset(hf="parts", split="valid")
    datasets.DatasetDict({**parts, "test": dataset.select([2])}).save_to_disk(tmp_path / "three")
    assert [r.fields["text"] for r in load_dataset(hf="three").rows] == ["t2"]


def test_a_folder_of_files(load_dataset: Load, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "train.jsonl").write_text(json.dumps({"a": 1}) + "\n")
    (folder / "test.jsonl").write_text(json.dumps({"a": 2}) + "\n")
    assert [r.fields for r in load_dataset(hf="files").rows] == [{"a": 2}]
    assert [r.fields for r in load_dataset(hf="files", split="train").rows] == [{"a": 1}]


def test_a_folder_without_data(load_dataset: Load, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UsageError, match=r"cannot read the local dataset \(hf: .*nothing\)"):
        load_dataset(hf="nothing")


@pytest.mark.parametrize(("key", "message"), [("revision", "which has no revisions"), ("config", "no configurations")])
def test_keys_that_a_saved_dataset_does_not_know(
    load_dataset: Load, dataset: datasets.Dataset, tmp_path: Path, key: str, message: str
) -> None:
    dataset.save_to_disk(tmp_path / "saved")
    with pytest.raises(UsageError, match=message):
        load_dataset(hf="saved", **{key: "main"})


@pytest.mark.parametrize("asked_for_offline", [True, False])
def test_the_hub_that_cannot_be_reached(
    load_dataset: Load, monkeypatch: pytest.MonkeyPatch, asked_for_offline: bool
) -> None:
    import huggingface_hub

    asked: list[str] = []

    def unreachable(self: object, name: str, **_: object) -> None:
        asked.append(name)
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", unreachable)
    for module in (datasets.config, huggingface_hub.constants):
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", asked_for_offline)
    with pytest.raises(UsageError) as caught:
        load_dataset(hf="someone/something", config="en", split="test")
    message = str(caught.value)
    assert "cannot reach the Hugging Face hub for the dataset (hf: someone/something, config: en)" in message
    assert "save_to_disk" in message
    assert asked == ([] if asked_for_offline else ["someone/something"])
    assert huggingface_hub.constants.HF_HUB_OFFLINE is datasets.config.HF_HUB_OFFLINE is asked_for_offline
