"""Judges that are asked in batches, after the batches of answers."""

from __future__ import annotations

from typing import Any

import pytest

JUDGING = "tasks.ask.metrics=[{llm_judge: {as: f, model: NAME, rubric: r}}]"


@pytest.mark.parametrize("api", ["chat", "anthropic"])
@pytest.mark.parametrize("name", ["api", "judge"])
def test_verdicts_come_in_a_batch_of_their_own(batched: Any, service: Any, api: str, name: str) -> None:
    service.said = lambda text: '{"reason": "r", "score": 4}' if "<<<begin" in text else f"re: {text}"
    backend = "openai" if api == "chat" else "anthropic"
    address = f"{service.url}/v1" if api == "chat" else service.url
    judge = f'models.judge={{backend: {backend}, model: y, base_url: "{address}", api_key: "${{env:SERVICE_KEY}}"}}'
    more = ("tasks.ask.model=api",) if name == "api" else (judge,)
    record = batched(api, JUDGING.replace("NAME", name), *more)
    assert [len(batch["entries"]) for batch in service.batches] == [12, 12]
    assert set(service.submitted.values()) == {1}
    (figure,) = (r for r in record.results if r.metric == "f")
    assert (figure.value, figure.n, figure.n_failed) == (4.0, 12, 0)
    assert record.manifest.execution["judging"]["n_asked"] == 12
    assert batched.open_batches() == []
    again = batched(api, JUDGING.replace("NAME", name), *more)
    assert again.manifest.execution["n_asked"] == 0
    assert len(service.batches) == 2


def test_a_judge_without_batches_is_refused(batched: Any, service: Any) -> None:
    from evalharness.core.errors import SuiteError

    judge = f'models.judge={{backend: http, url: "{service.url}", body: {{p: "{{{{ prompt }}}}"}}}}'
    with pytest.raises(SuiteError, match="the model 'judge' has none"):
        batched("chat", JUDGING.replace("NAME", "judge"), judge)
