from __future__ import annotations

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest

import evalharness
from evalharness.cli.main import main


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drift")

    def write(name, seed, shift):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(
            {
                "latency_s": rng.normal(1 + shift, 0.3, 400),
                "refused": rng.random(400) < 0.05,
                "language": rng.choice(["de", "en"], 400),
            }
        )
        path = folder / name
        if path.suffix == ".parquet":
            frame.to_parquet(path)
        elif path.suffix == ".jsonl":
            frame.to_json(path, orient="records", lines=True)
        else:
            frame.to_csv(path, index=False)
        return str(path)

    return {
        "before": write("before.parquet", 1, 0.0),
        "same": write("same.jsonl", 2, 0.0),
        "moved": write("moved.csv", 3, 0.4),
    }


def test_it_prints_what_drifted(files, capsys):
    assert main(["drift", files["before"], files["moved"]]) == 0
    out = capsys.readouterr().out
    assert out.startswith("1 of 3 columns has drifted\n")
    assert "mean" in out
    assert "latency_s" in out
    assert main(["drift", files["before"], files["same"], "--fail-on-drift"]) == 0
    assert capsys.readouterr().out.startswith("No drift shown in 3 columns")
    assert main(["drift", files["before"], files["moved"], "--fail-on-drift"]) == 1


def test_files_are_written(files, tmp_path, capsys):
    page, table = tmp_path / "drift.html", tmp_path / "drift.csv"
    options = ["--html", str(page), "--csv", str(table), "--segment", "language"]
    assert main(["drift", files["before"], files["moved"], *options]) == 0
    assert "latency_s" in page.read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert {row["segment"] for row in rows} == {"", "language=de", "language=en"}
    assert f"wrote {page}" in capsys.readouterr().err
    assert main(["drift", files["before"], files["moved"], "--html", str(page), "--language", "zh"]) == 0
    assert "3 列中有 1 列发生漂移" in page.read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["drift", files["before"], files["moved"], "--markdown", "-"]) == 0
    assert capsys.readouterr().out.startswith("# 1 of 3 columns has drifted")


def test_json_is_all_of_it(files, capsys):
    assert main(["drift", files["before"], files["moved"], "--json", "--effect", "latency_s=0.01"]) == 0
    found = json.load(io.StringIO(capsys.readouterr().out))
    one = next(f for f in found["findings"] if f["column"] == "latency_s")
    assert one["state"] == "drift"
    assert one["effect_threshold"] == 0.01
    assert set(found["pictures"]) == {"latency_s", "refused", "language"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--column", "latncy_s"], "no column 'latncy_s'; did you mean 'latency_s'"),
        (["--test", "latency_s=kss"], "did you mean 'ks'"),
        (["--effect", "latency_s=much"], "the size must be a number"),
        (["--kind", "latency_s=numbers"], "cannot be of kind 'numbers'"),
        (["--language", "zh"], "--language goes with --html FILE"),
        (["--alpha", "2"], "alpha must lie between 0 and 1"),
        (["--cluster", "conversation"], "no column 'conversation'"),
    ],
)
def test_mistakes_are_explained(files, options, message, capsys):
    assert main(["drift", files["before"], files["same"], *options]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_no_such_file(files, tmp_path, capsys):
    assert main(["drift", files["before"], str(tmp_path / "gone.csv")]) == 2
    assert "there is no file" in capsys.readouterr().err
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    assert main(["drift", str(empty), files["before"]]) == 2
    assert str(empty) in capsys.readouterr().err
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"not parquet at all")
    assert main(["drift", files["before"], str(broken)]) == 2
    assert str(broken) in capsys.readouterr().err


def test_python_gives_a_frame(files):
    before, now = pd.read_parquet(files["before"]), pd.read_csv(files["moved"])
    table = evalharness.drift(before, now).frame()
    assert list(table.loc[table.drifted, "column"]) == ["latency_s"]
    assert evalharness.drift(files["before"], now).reference == files["before"]
