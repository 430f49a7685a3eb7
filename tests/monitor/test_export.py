"""Files for other schedulers: parsed by what reads them, with names that try to get out of their quotes."""

from __future__ import annotations

import ast
import configparser
import itertools
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalharness.core.errors import UsageError
from evalharness.monitor.define import load_definition
from evalharness.monitor.export import TARGETS, Call, export, on_calendar
from evalharness.monitor.schedule import Schedule

Write = Callable[..., Path]
NASTY = [
    "plain",
    "a b",
    "it's",
    'say "hi"',
    "100%",
    "$HOME",
    "$(touch x)",
    "`id`",
    "a;b",
    "{{ 1 }}",
    "{% raw %}",
    "a\\b",
    "-x",
    "é",
    "{# c #}",
    "%h",
    "$$",
    "&&",
    "#",
]


def made(monitor_file: Write, target: str, text: str = "", **values: Any) -> dict[str, str]:
    call = Call(**{"file": "monitor.yaml", "folder": "/srv/bot", **values})
    return export(target, load_definition(monitor_file(text)), call)


def words_of(call: str, file: str, *more: str) -> list[str]:
    return ["evalharness", "monitor", "run", file if file[0] != "-" else f"./{file}", "--reports", "reports", *more]


def told(command: str, folder: Path) -> list[str]:
    """What a shell hands to evalharness; the folder is where it then is."""
    program = folder / "evalharness"
    program.write_text('#!/bin/sh\nprintf "%s\\0" evalharness "$@"\nprintf "%s" "$PWD" > "$WHERE"\n')
    program.chmod(0o755)
    where = folder / "where"
    env = {"PATH": f"{folder}:/usr/bin:/bin", "WHERE": str(where), "HOME": "/nowhere"}
    done = subprocess.run(["sh", "-c", command], env=env, capture_output=True, text=True, check=True, cwd=folder)
    return done.stdout.split("\0")[:-1]


@pytest.mark.parametrize("name", NASTY)
def test_cron_calls_what_is_meant(monitor_file: Write, tmp_path: Path, name: str) -> None:
    folder = tmp_path / f"in {name.replace('/', '_')}"
    folder.mkdir()
    (text,) = made(monitor_file, "cron", "timezone: Europe/Berlin\n", file=name, folder=str(folder)).values()
    zone, line = text.splitlines()[-2:]
    assert zone == "CRON_TZ=Europe/Berlin"
    fields, command = line.split(" ", 5)[:5], line.split(" ", 5)[5]
    assert " ".join(fields) == "0 * * * *"
    assert re.search(r"(?<!\\)%", command) is None
    assert told(command.replace("\\%", "%"), tmp_path) == words_of("", name, "--wait")
    assert (tmp_path / "where").read_text() == str(folder)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", NASTY)
def test_systemd_takes_the_units(monitor_file: Write, tmp_path: Path, name: str) -> None:
    units = made(monitor_file, "systemd", "timezone: America/New_York\n", file=name, folder="/tmp")
    units = {unit: text.replace('ExecStart="evalharness"', 'ExecStart="/bin/true"') for unit, text in units.items()}
    for unit, text in units.items():
        (tmp_path / unit).write_text(text)
        configparser.RawConfigParser(strict=False, interpolation=None).read_string(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / unit) for unit in units)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "evalharness-bot" in line and "Failed to" not in line]
    assert ours == []


CALENDARS = [
    "0 * * * *",
    "*/15 * * * *",
    "30 2 * * *",
    "0 0 1 * *",
    "15 9 * * MON-FRI",
    "0 0 13 * FRI",
    "5,35 */6 1-7 JAN,JUL *",
    "0 12 */10 * *",
    "10/20 8-18/2 * * 0",
    "0 0 * * 7",
    "59 23 31 12 *",
    "*/20 30 6 * * *",
]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("cron", CALENDARS)
def test_on_calendar_is_what_cron_means(cron: str) -> None:
    """systemd's own next elapses, after a fixed moment, are the firings."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    found: set[datetime] = set()
    for line in on_calendar(cron, "UTC"):
        done = subprocess.run(
            ["systemd-analyze", "calendar", "--base-time=2026-01-01 00:00:00 UTC", "--iterations=12", line],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "TZ": "UTC", "LC_ALL": "C"},
        )
        times = re.findall(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", done.stdout.split("Next elapse", 1)[1])
        found |= {datetime.fromisoformat(time).replace(tzinfo=UTC) for time in times}
    expected = list(itertools.islice(Schedule(cron).firings(begin, begin + timedelta(days=4000)), 12))
    assert sorted(found)[: len(expected)] == expected


@pytest.mark.parametrize("name", NASTY)
def test_kubernetes_hands_the_words_over_as_they_are(monitor_file: Write, name: str) -> None:
    text = 'timezone: Europe/Berlin\nschedule: "30 2 * * *"\nmisfire_grace_s: 120\n'
    (made_text,) = made(monitor_file, "kubernetes", text, file=name, folder=f"/srv/{name}", image="bot:1").values()
    job = yaml.safe_load(made_text)
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "CronJob")
    spec = job["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["startingDeadlineSeconds"]) == ("30 2 * * *", "Europe/Berlin", 120)
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    # As the kubelet expands it: $(NAME) is a variable, $$ stands for $.
    assert not re.search(r"(?<!\$)(\$\$)*\$\([^)]+\)", " ".join(container["command"]))
    assert [word.replace("$$(", "$(") for word in container["command"]] == words_of("", name, "--wait")
    assert container["workingDir"] == f"/srv/{name}"
    assert pod["restartPolicy"] == "Never"
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", job["metadata"]["name"])


@pytest.mark.parametrize("name", NASTY)
def test_airflow_compiles_the_dag_and_calls_what_is_meant(monitor_file: Write, tmp_path: Path, name: str) -> None:
    folder = tmp_path / f"in {name.replace('/', '_')}"
    folder.mkdir()
    ((file, text),) = made(monitor_file, "airflow", "catch_up: latest\n", file=name, folder=str(folder)).items()
    assert file == "bot_dag.py"
    tree = ast.parse(text)
    compile(tree, file, "exec")
    calls = {ast.unparse(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    values = {word.arg: word.value for name in ("DAG", "BashOperator") for word in calls[name].keywords}
    command = ast.literal_eval(values["bash_command"])
    assert not command.endswith((".sh", ".bash"))
    start = datetime(2026, 3, 29, tzinfo=UTC)
    rendered = (
        jinja2.Environment(keep_trailing_newline=True)
        .from_string(command)
        .render(data_interval_start=start, data_interval_end=start + timedelta(hours=1))
    )
    span = "2026-03-29T00:00:00+00:00/2026-03-29T01:00:00+00:00"
    assert told(rendered, tmp_path) == words_of("", name, "--wait", "--interval", span)
    assert (tmp_path / "where").read_text() == str(folder)
    assert ast.literal_eval(values["catchup"]) is False
    timetable = calls["CronDataIntervalTimetable"]
    assert ast.literal_eval(timetable.args[0]) == "0 * * * *"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12))
def test_any_name_stays_in_its_quotes(monitor_file: Write, name: str) -> None:
    (line,) = made(monitor_file, "cron", file=name).values()
    assert shlex.split(line.splitlines()[-1].split(" ", 5)[5].replace("\\%", "%"))[3:] == words_of("", name, "--wait")
    (dag,) = made(monitor_file, "airflow", file=name).values()
    compile(dag, "dag", "exec")
    (job,) = made(monitor_file, "kubernetes", file=name).values()
    yaml.safe_load(job)


@pytest.mark.parametrize("target", list(TARGETS))
def test_what_a_scheduler_cannot_say_is_refused(monitor_file: Write, target: str) -> None:
    with pytest.raises(UsageError, match=r"schedule: .*L"):
        made(monitor_file, target, 'schedule: "0 0 L * *"\n')
    with pytest.raises(UsageError, match=r"the file 'a\\nb' has a line break"):
        made(monitor_file, target, file="a\nb")
    if target != "systemd":
        with pytest.raises(UsageError, match="has a field for seconds"):
            made(monitor_file, target, 'schedule: "*/10 * * * * *"\n')


def test_airflow_has_no_intervals_that_overlap(monitor_file: Write) -> None:
    with pytest.raises(UsageError, match=r"interval: 7d; leave it out, or export to cron"):
        made(monitor_file, "airflow", "interval: 7d\n")


@pytest.mark.parametrize("name", NASTY)
def test_systemd_calls_what_is_meant(monitor_file: Write, name: str) -> None:
    """Words are unquoted as systemd.syntax(7) says; %% and $$ stand for one sign, a single one would be a specifier."""
    units = made(monitor_file, "systemd", file=name, folder=f"/srv/{name}")
    lines = dict(line.split("=", 1) for line in units["evalharness-bot.service"].splitlines() if "=" in line)
    words = shlex.split(lines["ExecStart"])
    assert all(re.fullmatch(r"(?:[^%$]|%%|\$\$)*", word) for word in words)
    assert [word.replace("%%", "%").replace("$$", "$") for word in words] == words_of("", name, "--wait")
    assert re.fullmatch(r"(?:[^%]|%%)*", lines["WorkingDirectory"])
    assert lines["WorkingDirectory"].replace("%%", "%") == f"/srv/{name}"
