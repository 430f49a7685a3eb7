"""How long each command line takes from the start of its process to the first forward pass of the model.

    python benchmarks/start_up.py [--model smollm2|small] [--rounds 7] [--without-peer]

The three do the same small work: a multiple-choice task over ten documents of a local file, on a local checkpoint, in
float32. A hook of a few lines goes before the program: at the first call of any transformers model it writes down the
clock and ends the process. Model and file cache are warm; every run is a process of its own, the programs take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _table import as_installed, machine, markdown_table, replace_section
from hf_scoring import checkpoint

# Written into the child. It must load nothing that the program would not load: it waits for transformers to come.
HOOK = """
import json, os, sys, time
from importlib.machinery import PathFinder

class Wait:
    def find_spec(self, name, path, target=None):
        if name != "transformers.modeling_utils":
            return None
        spec = PathFinder.find_spec(name, path, target)
        load = spec.loader.exec_module
        def exec_module(module):
            load(module)
            module.PreTrainedModel.__call__ = stop
        spec.loader.exec_module = exec_module
        return spec

def stop(*args, **kwargs):
    now, used = time.monotonic(), os.times()
    with open(os.environ["FIRST_PASS_OUT"], "w") as out:
        json.dump({"at": now, "cpu": used.user + used.system, "modules": sorted(sys.modules)}, out)
    os._exit(0)

sys.meta_path.insert(0, Wait())
"""
PROGRAMS = {
    "lm_eval --model hf": "from lm_eval.__main__ import cli_evaluate as main",
    "evalharness lm-eval": "from evalharness.__main__ import main",
    "evalharness run": "from evalharness.__main__ import main",
}


def write_work(folder: Path, model: Path) -> None:
    """The same task for lm-eval and as a suite."""
    rows = [
        {"id": str(n), "question": f"{n} plus {n} is", "choices": [str(n + n), str(n + 3), "seven"], "label": 0}
        for n in range(10, 20)
    ]
    data = folder / "test.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = {
        "task": "bench",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "choices",
        "doc_to_target": "label",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    (folder / "bench.yaml").write_text(json.dumps(task), encoding="utf-8")
    suite = {
        "version": 1,
        "name": "bench",
        "models": {"local": {"backend": "hf-causal", "path": str(model), "dtype": "float32"}},
        "datasets": {"rows": {"path": str(data), "id": "id"}},
        "tasks": [
            {
                "id": "bench",
                "dataset": "rows",
                "prompt": "{{ question }}",
                "choices": "{{ choices }}",
                "target": "{{ choices[label] }}",
                "metrics": ["accuracy"],
            }
        ],
        "execution": {"cache": "off"},
    }
    (folder / "suite.yaml").write_text(json.dumps(suite), encoding="utf-8")


def arguments(program: str, folder: Path, model: Path) -> list[str]:
    """What stands behind the program's name."""
    if program == "evalharness run":
        return ["run", str(folder / "suite.yaml"), "--quiet", "--reports", str(folder / "reports")]
    theirs = [
        "run", "--model", "hf", "--tasks", "bench", "--include_path", str(folder),
        "--model_args", f"pretrained={model},dtype=float32", "--batch_size", "8", "--device", "cpu",
    ]  # fmt: skip
    return ["lm-eval", *theirs] if program == "evalharness lm-eval" else theirs


def first_pass(program: str, folder: Path, model: Path) -> tuple[float, float, list[str]]:
    """Seconds from the start of the process to the first forward pass, those that its CPUs worked, modules loaded."""
    out = folder / "first.json"
    out.unlink(missing_ok=True)
    command = [sys.executable, "-c", f"{HOOK}\n{PROGRAMS[program]}\nsys.exit(main())"]
    began = time.monotonic()
    done = subprocess.run(
        [*command, *arguments(program, folder, model)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "FIRST_PASS_OUT": str(out)},
    )
    if not out.is_file():
        raise SystemExit(f"{program}: no forward pass was made:\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}")
    found = json.loads(out.read_text(encoding="utf-8"))
    return found["at"] - began, found["cpu"], found["modules"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("small", "smollm2"), default="smollm2")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--without-peer", action="store_true", help="leave lm_eval itself out")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    args = parser.parse_args()
    as_installed()
    model, load = checkpoint(args.model), os.getloadavg()[0]
    programs = [program for program in PROGRAMS if not (args.without_peer and program.startswith("lm_eval"))]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_work(folder, model)
        for program in programs:
            # Byte code, the index of tasks and what is known of the checkpoint's files are there from here on.
            first_pass(program, folder, model)
        runs: dict[str, list[tuple[float, float, list[str]]]] = {program: [] for program in programs}
        for _ in range(args.rounds):
            for program in programs:
                runs[program].append(first_pass(program, folder, model))
    rows = [
        [
            program,
            f"{statistics.median(wall for wall, _, _ in found):.2f} s",
            f"{min(wall for wall, _, _ in found):.2f} s",
            f"{statistics.median(cpu for _, cpu, _ in found):.2f} s",
            f"{len(found[-1][2]):,}",
        ]
        for program, found in runs.items()
    ]
    table = markdown_table(["command", "median", "fastest", "CPU", "modules loaded"], rows)
    print(table)
    if args.write:
        note = (
            f"`python benchmarks/start_up.py --model {args.model} --rounds {args.rounds}`: process start to first "
            f"forward pass on a local checkpoint, files cached; the programs take turns. {machine()}; load average "
            f"{load:.1f} when it began."
        )
        replace_section(f"start_up_{args.model}", f"## Start-up\n\n{note}\n\n{table}")


if __name__ == "__main__":
    main()
