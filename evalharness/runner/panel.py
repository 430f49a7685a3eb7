"""`Panel`: the judges of a suite, asked about answers that no run has made, some at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evalharness.core.asynchronous import run_async
from evalharness.core.errors import SuiteError, UsageError
from evalharness.core.types import FAILED_STATES, Request, Response, Sample
from evalharness.metrics.base import answer_text

from .accounts import Accounts
from .budget import Budget, Limits
from .build import make_models
from .disclosure import filed_under
from .estimate import most_output_tokens
from .execute import Answers, execute
from .judgement import Judgement
from .occasion import while_wanted
from .prices import price_problems, tariff_of
from .progress import SilentProgress
from .stopping import Stopping
from .store import ResponseStore
from .usage import Usage, total_of

if TYPE_CHECKING:
    from evalharness.metrics.judge import LlmJudge
    from evalharness.suite.load import LoadedSuite

__all__ = ["Panel"]


class Panel:
    """Judges that are asked as those of a run are: the same requests, limits and prices, and a store of their own.

    What is in `store` is not asked again. The budgets and the deadline of the suite hold for all that one panel asks.
    `beat` is called about once a second, and raises where the verdicts are not wanted any more.

    Raises:
        UsageError: a judge cannot be made: an unset variable, code without leave.
        SuiteError: the suite's prices cannot be used.
    """

    def __init__(
        self,
        loaded: LoadedSuite,
        judges: frozenset[str],
        *,
        store: Path,
        allow_code: bool = False,
        environ: Mapping[str, str] | None = None,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        suite = loaded.suite
        if problems := list(price_problems(loaded, environ)):
            raise SuiteError(problems)
        self._loaded, self._path, self._beat = loaded, store, beat
        self._models = make_models(suite, base=loaded.base, allow_code=allow_code, environ=environ, only=judges)
        self._identities = {name: model.identity() for name, model in self._models.items()}
        tariff = tariff_of(loaded, environ)
        limits = Limits.of(suite.execution)
        budget = None if limits is None else Budget(limits, most_output=most_output_tokens(suite))
        self._accounts = Accounts(tariff.prices, budget, to_ask=tariff.to_ask)
        self._stopping = Stopping(deadline_s=suite.execution.deadline_s, began=time.monotonic())

    @property
    def usage(self) -> Usage:
        """What the judges have used so far."""
        return total_of(self._accounts.usage)

    def bound(self, metric: LlmJudge, task: str) -> Judgement:
        """The judging of `task` by judges of this panel; `metric` has its rubric (`for_run`)."""
        return Judgement.bound(
            metric,
            task=task,
            model="",
            suite=self._loaded.suite,
            identities=self._identities,
            base=self._loaded.base,
        )

    def judged(self, judgement: Judgement, items: Sequence[tuple[Sample, Response]]) -> list[Response | None]:
        """The responses with what the judges said in their meta; None for those about which they cannot be asked.

        Those are responses that failed, and those that lack what the rubric, the pair or its documents need.

        Raises:
            ModelDownError: a judge's server is down; what came before is in the store.
            StopRun: the deadline of the suite has passed, or, as `BudgetError`, a budget of it is used up.
        """
        asked = [self._requests(judgement, sample, response) for sample, response in items]
        requests = [request for each in asked for request in each or ()]
        answers = run_async(while_wanted(self._answers(requests), self._beat)) if requests else None
        found: list[Response | None] = []
        at = 0
        for (sample, response), each in zip(items, asked, strict=True):
            if each is None or answers is None:
                found.append(None)
                continue
            replies = answers.responses.in_order(at, len(each))
            at += len(each)
            said = {judgement.figure: judgement.judged(sample, 0, list(replies))}
            found.append(replace(response, meta={**response.meta, "judged": said}))
        return found

    def _requests(self, judgement: Judgement, sample: Sample, response: Response) -> list[Request] | None:
        if response.status in FAILED_STATES:
            return None
        metric = judgement.metric
        other = judgement.other_answer(sample, None)
        if metric.against is not None and other is None:
            return None
        try:
            documents = judgement.documents_of(sample, response) if metric.context is not None else []
            if documents is None:
                return None
            return list(judgement.requests(sample, answer_text(response), other, documents))
        except UsageError:
            return None  # its row lacks a field of the rubric

    async def _answers(self, requests: Sequence[Request]) -> Answers:
        with ResponseStore.open(self._path, names=filed_under(self._loaded.suite)) as store:
            return await execute(
                requests,
                self._models,
                store=store,
                progress=SilentProgress(),
                stopping=self._stopping,
                accounts=self._accounts,
            )
