"""The metrics reference, made from the registry and the docstrings.

`python -m evalharness.metrics.reference FILE` writes it to a file.

A metric's docstring is read in four parts: the first line, the body with its formula, `Options:` and `Source:`.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from evalharness.core.nulls import best_between
from evalharness.core.registry import registry

__all__ = ["Explanation", "Option", "explain", "markdown", "option_lines", "options_of", "plain"]

_GROUPS = {
    "match": "Answers against references",
    "numeric": "Answers against references",
    "json_match": "Structured answers",
    "tool_calls": "Structured answers",
    "classification": "Labels",
    "averages": "Labels",
    "chance": "Labels",
    "choices": "Labels",
    "multilabel": "Sets of labels",
    "curves": "Probabilities of labels",
    "probabilities": "Probabilities of labels",
    "calibration": "Probabilities of labels",
    "label_probability": "Probabilities of labels",
    "repeats": "Several answers to one question",
    "max_of_repeats": "Several answers to one question",
    "by_group": "Between groups",
    "fairness": "Between groups",
    "preference": "Published bias benchmarks",
    "stereoset": "Published bias benchmarks",
    "bbq": "Published bias benchmarks",
    "pro_anti": "Published bias benchmarks",
    "flips": "Robustness",
    "attack": "Robustness",
    "bleu": "Overlap with references",
    "nltk_bleu": "Overlap with references",
    "chrf": "Overlap with references",
    "gleu": "Overlap with references",
    "ter": "Edits",
    "edits": "Edits",
    "meteor": "Overlap with references",
    "rouge": "Overlap with references",
    "diversity": "Answers by themselves",
    "readability": "Answers by themselves",
    "language": "Answers by themselves",
    "semantic": "Meaning",
    "bertscore": "Meaning",
    "toxicity": "Toxicity",
    "honest": "Toxicity",
    "sentiment": "Toxicity",
    "verbatim": "Privacy and safety",
    "canary": "Privacy and safety",
    "pii": "Privacy and safety",
    "safety": "Privacy and safety",
    "needle": "Long context",
    "retrieval": "Retrieval and answers from documents",
    "rag": "Retrieval and answers from documents",
    "code": "Generated code",
    "likelihood": "Likelihood",
    "operations": "Cost",
    "throughput": "Cost",
    "states": "States",
    "judge": "Judges",
    "explanations": "Explanations",
    "identity": "Explanations",
    "hf_metric": "Metrics of other libraries, and your own",
    "python": "Metrics of other libraries, and your own",
}
_NEEDS = {"references": "a `reference`", "target": "a `target`"}
_INTERVALS = {
    "proportion": "Wilson",
    "mean": "Student's t",
    "bootstrap": "BCa bootstrap",
    "bounded mean": "score t",
    "bounded bootstrap": "jackknife score t",
    "quantile": "order statistics",
    "rows": "percentile bootstrap",
    "jackknife": "delete-a-group jackknife",
    "jackknife-score-t": "jackknife score t",
    "jackknife-less-chance": "jackknife score t, its lower end less what chance adds",
    "exposure": "Student's t over secrets, Clopper-Pearson of one",
    "wilson-mover": "Wilson of both shares, joined (MOVER)",
    "wilson-bonferroni": "Wilson of all lengths at once",
    "levels": "max-t over the levels",
}
_KINDS = {
    "generate": "generated text",
    "loglikelihood": "choices by likelihood",
    "classify": "classifiers",
    "loglikelihood_rolling": "perplexity tasks",
    "study": "explanations and attacks",
}


class Option(NamedTuple):
    """An option of a metric: what it takes, its default as YAML, and what it does."""

    name: str
    takes: str
    default: str
    text: str


class Explanation(NamedTuple):
    """A metric in words."""

    name: str
    summary: str
    body: str
    options: tuple[Option, ...]
    source: str
    facts: dict[str, str]
    group: str


def explain(name: str) -> Explanation:
    """The metric registered under `name`, from its docstring, its fields and its attributes.

    Raises:
        UsageError: if there is no such metric.
    """
    cls: Any = registry("metrics").load(name)
    text = inspect.getdoc(cls) or "(no description)"
    head, _, source = text.partition("\nSource: ")
    head, _, options = head.partition("\nOptions:\n")
    summary, _, body = head.partition("\n")
    return Explanation(
        name=name,
        summary=summary,
        body=inspect.cleandoc(body) if body.strip() else "",
        options=tuple(options_of(cls, options)),
        source=" ".join(source.split()),
        facts=_facts(cls),
        group=_GROUPS.get(cls.__module__.rpartition(".")[2], "Further"),
    )


def options_of(cls: Any, text: str) -> Iterator[Option]:
    """The options of a dataclass, with what the part `Options:` of its docstring says of each."""
    parts = re.split(r"^ {4}(\w+): ", text, flags=re.MULTILINE)
    texts = {name: " ".join(words.split()) for name, words in zip(parts[1::2], parts[2::2], strict=True)}
    for field in dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ():
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        yield Option(field.name, _takes(str(field.type)), _yaml(default), texts.get(field.name, ""))


def _takes(annotation: str) -> str:
    words = {
        "bool": "true | false",
        "str": "text",
        "int": "whole number",
        "float": "number",
        "tuple[str, ...]": "list of texts",
        "tuple[float, ...]": "list of numbers",
        "tuple[int, ...]": "list of whole numbers",
        "tuple[float, float]": "two numbers",
        "dict[str, Any]": "mapping",
        "dict[str, str]": "mapping of texts",
        "dict[str, float]": "mapping to numbers",
        "dict[str, dict[str, Any]]": "mapping of a name to options",
        "tuple[str | dict[str, dict[str, Any] | str | None], ...]": "list of metrics",
        "None": "null",
    }

    def said(part: str) -> str:
        if part.startswith("Literal["):
            return " | ".join(choice.strip().strip("\"'") for choice in part[len("Literal[") : -1].split(","))
        return words.get(part, part)

    return " or ".join(map(said, _alternatives(annotation)))


def _alternatives(annotation: str) -> list[str]:
    """The parts between bars that stand in no brackets."""
    found, depth = [""], 0
    for sign in annotation:
        depth += (sign == "[") - (sign == "]")
        if sign == "|" and depth == 0:
            found.append("")
        else:
            found[-1] += sign
    return [part.strip() for part in found]


def _yaml(value: object) -> str:
    if value is None:
        return "null"
    if value is dataclasses.MISSING:
        return "required"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value) or '""'


def _number(value: float) -> str:
    return {math.inf: "∞", -math.inf: "−∞"}.get(value, f"{value:g}")


def _facts(cls: Any) -> dict[str, str]:
    # The class itself where nothing depends on options; properties (regex: needs) show on an instance.
    own_facts: dict[str, str] | None = getattr(cls, "facts", None)
    if own_facts is not None:
        return own_facts
    metric = cls(**{field.name: "…" for field in dataclasses.fields(cls) if _is_required(field)})
    kinds = [words for kind, words in _KINDS.items() if kind in metric.kinds]
    by_rows = "rows" if hasattr(metric, "finalize_rows") else metric.interval
    own = getattr(metric, "interval_name", "")
    own = own if own in _INTERVALS else "quantile"
    interval = own if hasattr(metric, "interval_rows") else "levels" if hasattr(metric, "disparity") else by_rows
    if interval in ("mean", "bootstrap") and all(map(math.isfinite, metric.bounds)):
        interval = f"bounded {interval}"
    best = best_between(metric)
    better = "nearer to " + _number(best) if best is not None else "higher" if metric.higher_is_better else "lower"
    return {
        "range": f"{_number(metric.bounds[0])} to {_number(metric.bounds[1])}, {better} is better",
        "for": "every task" if len(kinds) == len(_KINDS) else ", ".join(kinds),
        "needs": ", ".join(_NEEDS[need] for need in sorted(metric.needs)) or "nothing of a sample",
        "interval": _INTERVALS[interval],
    }


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def option_lines(options: Iterable[Option]) -> list[str]:
    """The options as text for a terminal, with an empty line behind them."""
    lines = []
    for option in options:
        lines += [f"  {option.name}: {option.takes} (default: {option.default})", *_wrapped(option.text, indent=6)]
    return ["Options:", *lines, ""] if lines else []


def plain(name: str) -> str:
    """The explanation as text for a terminal."""
    found = explain(name)
    lines = [f"{found.name}: {found.summary}", ""]
    if found.body:
        lines += [found.body, ""]
    lines += option_lines(found.options)
    lines += [f"{key.capitalize() + ':':<10}{value.replace('`', '')}" for key, value in found.facts.items()]
    lines += ["", *_wrapped(f"Source: {found.source}", indent=0)]
    return "\n".join(lines)


def _wrapped(text: str, *, indent: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 110, initial_indent=" " * indent, subsequent_indent=" " * indent)


_INTRODUCTION = """\
# Metrics

<!-- Generated from the docstrings by `python -m evalharness.metrics.reference docs/metrics.md`; do not edit. -->

A task lists its metrics by name, or with options:

```yaml
metrics: [accuracy, rougeL, {bleu: {tokenize: 13a}}, {rouge1: {stemmer: true, as: rouge1_stemmed}}]
```

`evalharness list metrics` prints the table below and `evalharness list metrics bleu` explains one.

Every metric turns a sample into a row of numbers that may be added up, and a figure into a function of their totals.
So shards merge exactly, groups and intervals cost next to nothing, and `evalharness score` computes new figures from a
record without asking a model. The first number of a row says whether the sample was measured at all: a sample without
a reference or a target is left out, and is no part of the figure's n. The answer is what `extract` read, else the
output without white space at its ends. An answer that could not be read is wrong. A call that failed is treated as the
suite's `on_error` says; where it counts as wrong, it is worth 0 even if the right answer is the empty text, and lacks
every word in the error rates (`wer`, `cer`, `ter`), of which lower is better. Figures of times, probabilities,
likelihoods and variety leave it out all the same, which their n tells.

Intervals are two-sided at the suite's `confidence`. Proportions get Wilson's interval. Means within bounds get Wilson's
at their effective sample size with a t quantile (score t), and so do corpus figures, by the jackknife's standard error.
Without bounds on both sides means get Student's t, and corpus figures the BCa bootstrap over their rows (2,000
resamples, seeded; the jackknife above 50,000 samples). Quantiles get the interval between order statistics. Where
samples come in clusters, the standard error is the cluster-robust one, with C − 1 degrees of freedom; the jackknife
leaves out, and the bootstrap draws, whole clusters. Where no sample differs from the others, the interval is not of
width zero: with n equal samples, the share of others may still be as high as Wilson's upper bound for 0 of n. Only
without bounds on both sides can nothing be said of others: both ends are the figure then, and a gate decides nothing
on it. How often these intervals hold the truth has been measured: see [Statistics](statistics.md).
Without anything to measure the figure is NaN, and a gate on it fails.
"""


def markdown() -> str:
    """The reference of all built-in metrics as one Markdown document."""
    from evalharness.metrics import BUILTIN

    found = [explain(name) for name in BUILTIN]
    anchors = _anchors(e.name for group in dict.fromkeys(e.group for e in found) for e in found if e.group == group)
    lines = [_INTRODUCTION, "| metric | | range | needs | interval |", "|---|---|---|---|---|"]
    lines += [
        f"| [`{e.name}`](#{anchors[e.name]}) | {e.summary.rstrip('.')} | {e.facts['range'].partition(',')[0]} | "
        f"{e.facts['needs']} | {e.facts['interval']} |"
        for e in found
    ]
    for group in dict.fromkeys(e.group for e in found):
        lines += ["", f"## {group}"]
        for explanation in found:
            if explanation.group == group:
                lines += _section(explanation)
    return "\n".join(lines) + "\n"


def _anchors(names: Iterable[str]) -> dict[str, str]:
    """Where headings are linked to, as GitHub makes it: of chrf and chrf++ the second is chrf-1."""
    anchors: dict[str, str] = {}
    for name in names:
        slug = re.sub(r"[^\w -]", "", name.lower())
        taken = sum(anchor == slug or anchor.startswith(f"{slug}-") for anchor in anchors.values())
        anchors[name] = f"{slug}-{taken}" if taken else slug
    return anchors


def _section(found: Explanation) -> list[str]:
    lines = ["", f"### {found.name}", "", found.summary, ""]
    # An indented formula is a code block in Markdown as it stands.
    lines += [found.body, ""] if found.body else []
    if found.options:
        lines += ["| option | takes | default | |", "|---|---|---|---|"]
        lines += [
            f"| `{o.name}` | {o.takes.replace('|', chr(92) + '|')} | `{o.default}` | {o.text} |" for o in found.options
        ]
        lines.append("")
    facts = found.facts
    lines += [
        f"Range {facts['range']}. For {facts['for']}; needs {facts['needs']}. Interval: {facts['interval']}.",
        "",
        f"Source: {found.source}",
    ]
    return lines


def main(arguments: list[str]) -> None:
    """Write the reference to the file that is named, or print it."""
    from pathlib import Path

    if arguments:
        Path(arguments[0]).write_text(markdown(), encoding="utf-8", newline="\n")
    else:
        print(markdown(), end="")


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
