r"""Explain why a model answers one text as it does: what each word adds to the output.

  evalharness explain ./classifier "A warm, funny film."
  evalharness explain ./language-model "The capital of France is" --answer " Paris" --against " London"
  evalharness explain ./classifier - --method permutation --html why.html < review.txt

A classifier's likeliest label is explained, or the one of --label. A model that writes text is explained by an answer:
its log-odds, or with --against how much likelier it is than another one. Explanations of many texts, their quality and
gates on them stand in a suite: docs/explanations.md.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .language import add_language

if TYPE_CHECKING:
    from evalharness.core.protocols import Model
    from evalharness.core.types import Response

__all__ = ["add_arguments", "run"]

_METHODS = ("shap", "permutation", "exact", "occlusion", "integrated_gradients", "lime", "attention")
_BAR = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `explain`."""
    parser.add_argument("model", metavar="MODEL", help="checkpoint folder, catalog:NAME or hub name")
    parser.add_argument("text", metavar="TEXT", help="the text; - reads it from standard input")
    parser.add_argument("--method", choices=_METHODS, default="shap", help="how (default: shap)")
    parser.add_argument("--label", help="classifiers: the label that is explained (default: the likeliest)")
    parser.add_argument("--answer", help="models that write text: the answer that is explained, with its leading space")
    parser.add_argument("--against", help="with --answer: another answer, to explain the choice between the two")
    parser.add_argument("--players", choices=["words", "tokens"], default="words", help="what is masked as one")
    parser.add_argument(
        "--mask", help="token in the place of a masked word; '' leaves it out (default: the model's own)"
    )
    parser.add_argument(
        "--max-evals", type=_count, default=500, metavar="N", help="most masked versions of the text (default: 500)"
    )
    parser.add_argument("--quality", action="store_true", help="measure how faithful the explanation is")
    parser.add_argument("--seed", type=int, default=0, help="seed of methods that draw (default: 0)")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    parser.add_argument("--dtype", choices=["auto", "float32", "float16", "bfloat16"], help="number format")
    parser.add_argument("--html", metavar="FILE", help="write a page with the words coloured")
    add_language(parser, "the page that --html writes")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--allow-code", action="store_true", help="let Python code that the checkpoint carries run")


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 3:
        raise argparse.ArgumentTypeError(f"{text!r}: a number of 3 or more")
    return number


def run(args: argparse.Namespace) -> int:
    """Explain the text and print what its words add; returns 0."""
    import asyncio
    import sys

    from evalharness.core.errors import RunError, UsageError

    text = sys.stdin.read().rstrip("\n") if args.text == "-" else args.text
    if not text.strip():
        raise UsageError("the text is empty: there are no words to explain")
    if args.against is not None and args.answer is None:
        raise UsageError("--against has no effect without --answer: the choice between the two is explained")
    model = _model(args)
    response = asyncio.run(_ask(model, args, text))
    if response.error is not None:
        raise RunError(response.error)
    found: Any = response.meta["explanation"]
    if args.json:
        from .columns import print_json

        print_json(found)
    else:
        _print(found)
    if args.html is not None:
        _write(args.html, found, model.name, args.language or "en")
    return 0


def _model(args: argparse.Namespace) -> Model:
    from pathlib import Path

    from pydantic import ValidationError

    from evalharness.core.errors import UsageError
    from evalharness.core.registry import registry
    from evalharness.suite.schema import HfModel

    backend = _backend(args.model, labelled=args.answer is None)
    if backend == "hf-classifier" and args.answer is not None:
        raise UsageError(f"--answer: {args.model!r} is a classifier; --label says which of its labels is explained")
    if backend != "hf-classifier" and args.answer is None:
        raise UsageError(
            f"{args.model!r} writes text: say which answer is explained, as in --answer ' Paris', and against which "
            "other one with --against"
        )
    if backend != "hf-classifier" and args.label is not None:
        raise UsageError(f"--label: {args.model!r} has no labels; --answer says what is explained")
    given = {"device": args.device, "dtype": args.dtype}
    settings = {"backend": backend, "path": args.model, "trust_remote_code": args.allow_code}
    settings |= {key: value for key, value in given.items() if value is not None}
    try:
        spec = HfModel.model_validate(settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(f"--{first['loc'][0]} {first['input']!r}: {first['msg']}") from error
    name = Path(args.model.removeprefix("catalog:")).name or "model"
    make = registry("models").load(backend)
    model: Model = make(name, spec, base=Path.cwd(), environ={}, concurrency=1, allow_code=args.allow_code)
    return model


def _backend(path: str, *, labelled: bool) -> str:
    """The backend for the checkpoint, by what it says that it is."""
    from pathlib import Path

    from evalharness.core.errors import UsageError
    from evalharness.core.location import locate
    from evalharness.models.huggingface.architecture import check_architecture, check_folder
    from evalharness.models.huggingface.identity import read_config

    at = locate(path, base=Path.cwd(), revision=None)
    if at.hub is None and at.folder is not None:
        check_folder(at.folder, shown=path)
    config = read_config(at.folder)
    kinds = ["hf-classifier", "hf-causal", "hf-seq2seq"]
    for backend in kinds if labelled else [*kinds[1:], kinds[0]]:
        try:
            check_architecture(backend, config, shown=path)  # type: ignore[arg-type]
        except UsageError:
            continue
        return backend
    raise UsageError(f"{path!r} is neither a classifier nor a model that writes text: it cannot be explained")


async def _ask(model: Model, args: argparse.Namespace, text: str) -> Response:
    from evalharness.core.canonical import canonical_json, digest
    from evalharness.core.types import Request, Sampling
    from evalharness.runner.studies import study

    answers = tuple(answer for answer in (args.answer, args.against) if answer is not None)
    options = {
        "procedure": "explain",
        "method": args.method,
        "asks": "classify" if not answers else "answer" if len(answers) == 1 else "margin",
        "max_evals": args.max_evals,
        "players": args.players,
        "output": args.label or "predicted",
        "mask": args.mask,
        "quality": args.quality,
        "seed": args.seed,
    }
    request = Request(
        key=digest([text, canonical_json(options)]),
        model=model.name,
        kind="study",
        sample_id="text",
        prompt=text,
        continuations=answers,
        sampling=Sampling(study=canonical_json(options)),
    )
    try:
        await model.open()
        return await study(model, request)
    finally:
        await model.close()


def _print(found: Any) -> None:
    from evalharness.report.attribution_bars import signed
    from evalharness.report.explanations import explained_text, pieces_with_values
    from evalharness.report.text import figure, plural

    from .columns import columns

    shown = explained_text(found, "text")
    rows = pieces_with_values(shown)
    reach = max((abs(value) for _, value in rows), default=0.0)
    print(f"{shown.explained}: {figure(shown.base)} with all words masked, {figure(shown.full)} with all")
    if shown.unread:
        print(f"the text is too long for the model, which has not read {shown.unread} of it")
    print(
        columns(
            ("word", "adds", ""),
            [(word, signed(value, reach), _bar(value, reach)) for word, value in rows],
            right=("adds",),
        )
    )
    calls = plural(int(found["n_evaluations"]), "masked version")
    print(f"{found['method']}, {calls}, {found['seconds']:.2f} s, of which {found['model_seconds']:.2f} s in the model")
    for name in ("comprehensiveness", "sufficiency", "deletion_auc", "insertion_auc") if found["quality"] else ():
        value, random = found["quality"][name], found["quality"][f"{name}_random"]
        print(f"{name} {figure(value)}, of random explanations {figure(random)}")


def _bar(value: float, reach: float) -> str:
    """Right of the middle where the word raises the output."""
    length = round(_BAR * abs(value) / reach) if reach else 0
    return f"{'':{_BAR}}│{'█' * length}" if value >= 0 else f"{'▒' * length:>{_BAR}}│"


def _write(path: str, found: Any, name: str, language: str) -> None:
    from pathlib import Path

    from evalharness.core.errors import UsageError
    from evalharness.core.files import write_atomic
    from evalharness.report.explanation_page import explanation_page

    try:
        write_atomic(Path(path), explanation_page(found, title=f"{name}: {found['explained']}", language=language))
    except OSError as error:
        raise UsageError(f"--html: {path} cannot be written: {error.strerror or error}") from error
    print(f"page: {path}")
