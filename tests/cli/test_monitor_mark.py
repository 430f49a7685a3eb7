"""`evalharness monitor mark`: a deployment is noted, listed and taken back."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from evalharness.cli.main import main
from evalharness.record import RunRegistry
from evalharness.record.database import writing
from evalharness.record.monitor_tables import MONITORS


@pytest.fixture
def reports(tmp_path, monkeypatch):
    monkeypatch.delenv("EVALHARNESS_REGISTRY", raising=False)
    now = datetime(2026, 3, 2, tzinfo=UTC)
    with RunRegistry.open(reports=tmp_path) as registry, writing(registry.engine) as connection:
        row = {"name": "bot", "definition": "{}", "definition_digest": "d", "path": "m.yaml"}
        connection.execute(insert(MONITORS).values(**row, created_utc=now, updated_utc=now, cursor_utc=now))
    return str(tmp_path)


def test_note_list_and_take_back(reports, capsys):
    at = ["--reports", reports]
    assert main(["monitor", "mark", "bot", "prompt v12", "--at", "2026-03-02T10:30+01:00", "--by", "ci", *at]) == 0
    assert "bot: 'prompt v12', deployed 2026-03-02 09:30 UTC, is noted (number 1)" in capsys.readouterr().out
    assert main(["monitor", "mark", "bot", "--json", *at]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["text"], one["noted_by"], one["id"]) == ("prompt v12", "ci", 1)
    assert main(["monitor", "mark", "bot", "--remove", "1", *at]) == 0
    assert main(["monitor", "mark", "bot", *at]) == 0
    assert "nothing is noted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bto", "v1"], "there is no monitor 'bto'"),
        (["bot", " "], "in 1 to 200 characters"),
        (["bot", "v1", "--at", "2999-01-01"], "has not come yet"),
        (["bot", "v1", "--at", "0001-01-01T00:00+14:00"], "before anything was deployed"),
        (["bot", "--remove", "7"], "has no deployment 7"),
    ],
)
def test_what_cannot_be_is_said(reports, capsys, arguments, said):
    assert main(["monitor", "mark", *arguments, "--reports", reports]) == 2
    assert said in capsys.readouterr().err
