"""report.html: one file that opens from disk, asks no network for anything, and runs nothing that is in the data.

The page's policy allows one style sheet and one script, by their hashes; all data stands in a JSON block that the
script puts into the page as text.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ..core.canonical import to_jsonable
from ..core.language import in_script, retold, speaking, t
from ..core.types import MetricResult
from .attacks import attack_views
from .bars import DRAWING, bar, scale_of, sparkline, strip
from .charts.render import NEEDS, can_draw
from .explanations import explanation_views
from .explorer_data import EXPLORER_SCRIPTS, explorer_blocks
from .facts import facts_of, interval_hint, repeat_command, samples_hint, verdict_of
from .gateview import GateOutcomeLike
from .operations import costs_table, operations_table
from .page import asset, compact, environment, page_css, source_hash
from .pictures import latency_charts, task_charts
from .probes import HINT
from .samples import SampleBundle, bundle_samples
from .text import level_of
from .view import ReportView, build_view

if TYPE_CHECKING:
    from jinja2 import Template

    from ..record import Rating, Record
    from ..record.history import History
    from .changes import Changes
    from .charts import Chart
    from .people import PeopleView

__all__ = ["iter_html", "load_template", "render_html"]


def render_html(
    record: Record,
    gate: GateOutcomeLike | Mapping[str, Any] | None = None,
    *,
    max_samples: int | None = None,
    ratings: Iterable[Rating] = (),
    history: History | None = None,
    baseline: Record | None = None,
    language: str = "en",
) -> str:
    """The page, with at most `max_samples` samples in it (failed and wrong ones first), however long they are.

    By default they are 100,000 and 160 million characters at most. `ratings` are those that people gave to the run,
    `history` the figures of earlier runs of its suite, `baseline` the run that it is compared with. `language` is that
    of the page: one of `core.language.LANGUAGES`.

    Raises:
        UsageError: there is no such language.
    """
    return "".join(
        iter_html(
            record,
            gate,
            max_samples=max_samples,
            ratings=ratings,
            history=history,
            baseline=baseline,
            language=language,
        )
    )


def iter_html(
    record: Record,
    gate: GateOutcomeLike | Mapping[str, Any] | None = None,
    *,
    max_samples: int | None = None,
    ratings: Iterable[Rating] = (),
    history: History | None = None,
    baseline: Record | None = None,
    language: str = "en",
) -> Iterator[str]:
    """The page as `render_html` gives it, in pieces: the samples in it are never all in memory."""
    # No text of the record can know it, and so none can pass for it.
    here, there = secrets.token_hex(16), secrets.token_hex(16)
    with speaking(language):
        view = build_view(record, gate, ratings)
        bundle = _samples(record, view, max_samples, baseline)
        columns, texts = explorer_blocks(bundle, record.manifest.id)
        page = _page(record, view, bundle, (here, there), history=history, baseline=baseline)
    before, _, rest = page.partition(here)
    between, _, after = rest.partition(there)
    # Lone surrogates were made visible on the way; what is left over is a fault, and must not lose the report.
    for piece in chain([before, columns(), between], texts(), [after]):
        yield piece.encode("utf-8", "replace").decode("utf-8")


def _page(
    record: Record,
    view: ReportView,
    bundle: SampleBundle,
    places: tuple[str, str],
    *,
    history: History | None,
    baseline: Record | None,
) -> str:
    """The page with a mark at each of the two `places` where blocks of samples go, in the language that is spoken."""
    here, there = places
    manifest = view.manifest
    css = page_css("report.css", "compare.css", "explorer.css")
    js = in_script("".join(map(asset, EXPLORER_SCRIPTS)))
    drawing = DRAWING.set(_bar_of(view))
    charts = task_charts(record, view)
    text = load_template().render(
        css=Markup(css),
        js=Markup(js),
        css_hash=Markup(source_hash(css)),
        js_hash=Markup(source_hash(js)),
        title=f"{manifest.suite_name} · {manifest.id}",
        manifest=manifest,
        view=view,
        gate=view.gate,
        verdict=verdict_of(view),
        facts=facts_of(view),
        gate_hint=_gate_hint(view),
        interval_hint=interval_hint(view),
        people=[_people(p) for p in view.people],
        explanations=explanation_views(record),
        attacks=attack_views(record),
        charts=charts,
        charts_hint="" if can_draw() else t(NEEDS),
        history=_sparklines(history),
        changes=_changes(record, baseline),
        probes_hint=t(HINT),
        on_error=_on_error(view),
        states=[
            {
                "task": task,
                "model": model,
                "counts": list(counts.items()),
                "total": sum(counts.values()),
                "svg": strip(counts),
            }
            for task, model, counts in view.states
        ],
        errors=bundle.errors,
        operations=operations_table(record, view),
        latencies=_latencies(record, charts),
        costs=costs_table(manifest),
        samples_hint=samples_hint(bundle, manifest.id),
        command=repeat_command(manifest),
        signatures=_signatures(record.results),
        suite_text=_suite_text(manifest.suite),
        columns=Markup(here),
        texts=Markup(there),
    )
    DRAWING.reset(drawing)
    return text


def _changes(record: Record, baseline: Record | None) -> Changes | None:
    if baseline is None:
        return None
    from .changes import changes_of

    return changes_of(record, baseline)


def _samples(record: Record, view: ReportView, limit: int | None, baseline: Record | None) -> SampleBundle:
    # Another model of the same run may be the baseline.
    model = view.gate.baseline_id if view.gate is not None else None
    against = None
    if baseline is not None or model in record.manifest.models:
        from .sample_baseline import Baseline

        against = Baseline(record, model) if baseline is None else Baseline(baseline)
    if limit is None:
        return bundle_samples(record, baseline=against)
    # Who says how many samples gets them, however long they are.
    return bundle_samples(record, limit=limit, max_chars=sys.maxsize, baseline=against)


def load_template() -> Template:
    """The page's template, made ready once: a moment that a command may choose, for it may take a tenth of a second."""
    environment().get_template("macros.j2")
    return environment().get_template("report.html.j2")


def _bar_of(view: ReportView) -> Callable[[MetricResult], Markup]:
    """Draws a figure on the scale that all figures of its metric in its task share, with the limits of its rules."""
    results = [r for task in view.tasks for r in task.everything]
    by_metric: dict[tuple[str, str], list[MetricResult]] = {}
    for r in results:
        by_metric.setdefault((r.task.partition("@")[0], r.metric), []).append(r)
    scales = {key: scale_of(own) for key, own in by_metric.items()}
    limits: dict[tuple[str, str, str, str | None], list[float]] = {}
    for v in view.gate.verdicts if view.gate else ():
        # The limit of a rule that compares is a difference, and stands on no scale of figures.
        if v.rule.startswith((f"{v.task}.{v.metric} ≥ ", f"{v.task}.{v.metric} ≤ ")):
            group = next((r.group for r in results if r.group and v.rule.endswith(f" · {r.group}")), None)
            limits.setdefault((v.task, v.model, v.metric, group), []).append(v.limit)

    def draw(r: MetricResult) -> Markup:
        scale = scales.get((r.task.partition("@")[0], r.metric))
        return bar(r, scale, limits=limits.get((r.task, r.model, r.metric, r.group), ()))

    return draw


def _sparklines(history: History | None) -> Callable[[MetricResult], Markup] | None:
    """Draws what earlier runs found of a figure; None where there are none."""
    if not history:
        return None
    past = history

    def draw(r: MetricResult) -> Markup:
        return sparkline([figure.value for figure in past.get((r.task, r.model, r.metric), ())], r.value)

    return draw


def _latencies(record: Record, charts: Mapping[str, list[Chart]]) -> list[Chart]:
    """Histograms of latencies beside other charts.

    The table draws their span: alone they are not worth the half second for which what draws has to be started.
    """
    return latency_charts(record) if charts else []


def _people(view: PeopleView) -> dict[str, Any]:
    """What the page shows of a question to people; figures of one name share a scale."""
    from .peopletext import ALL_HINT, figure_cells, kind_of, people_facts, ranking_hint

    scales = {name: scale_of(r for r in view.results if r.metric == name) for name in {r.metric for r in view.results}}
    return {
        "about": t(ALL_HINT),
        "view": view,
        "kind": kind_of(view),
        "facts": people_facts(view),
        "hint": ranking_hint(view),
        "several": view.question == "label",
        "rows": [(r, *figure_cells(r), bar(r, scales[r.metric])) for r in view.results],
    }


def _gate_hint(view: ReportView) -> str:
    if view.gate is None:
        return ""
    how = (
        t("The figure itself decides.")
        if view.gate.decide_on == "point"
        else t("One-sided confidence bounds decide: a rule whose limit they straddle is inconclusive.")
    )
    which = t("Only rules of the tier block decide the outcome.")
    return t("%(first)s %(second)s", first=how, second=which)


def _on_error(view: ReportView) -> str:
    execution = view.manifest.suite.get("execution")
    policy = execution.get("on_error") if isinstance(execution, Mapping) else None
    return compact(policy) if policy else ""


def _signatures(results: tuple[MetricResult, ...]) -> list[tuple[str, str, str]]:
    """(figure, signature, how its interval was found), each once."""
    return list(
        dict.fromkeys(
            (f"{r.task.partition('@')[0]}.{r.metric}", r.signature, f"{level_of(r.confidence)} {retold(r.ci_method)}")
            for r in results
            if r.group is None
        )
    )


def _suite_text(suite: Mapping[str, Any]) -> str:
    import yaml

    def without_nothing(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: without_nothing(v) for k, v in value.items() if v is not None}
        return [without_nothing(v) for v in value] if isinstance(value, list) else value

    plain = without_nothing(json.loads(json.dumps(to_jsonable(suite))))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
