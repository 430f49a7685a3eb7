"""What all pages share: templates that escape all they print, style sheets, and the policy that names them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from ..core.canonical import to_jsonable
from ..core.language import retold, spoken, t, tm
from .attribution_bars import largest_of, reach_of, scale_of_text, signed, step_bar, word_bar
from .bars import drawn_bar
from .charts.render import svg_of
from .faithfulness import faith_charts
from .probes import held_bar
from .text import amount, clip, figure, interval, safe, single_line

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["asset", "compact", "embed_json", "environment", "make_environment", "page_css", "source_hash", "variant_of"]

_SPECIAL = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def embed_json(value: object) -> Markup:
    """`value` as JSON that can stand in a script element: no `<`, `>`, `&`, line separators or lone surrogates."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(_SPECIAL.sub(lambda m: f"\\u{ord(m[0]):04x}", text))


@cache
def asset(name: str) -> str:
    """A file among the templates, with the same line ends everywhere."""
    text = (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


def source_hash(text: str) -> str:
    """How a page's policy names a style sheet or a script of its own."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def page_css(*names: str) -> str:
    """base.css with the style sheets of a page of its own behind it."""
    return "".join(map(asset, ("base.css", *names)))


@cache
def environment() -> Environment:
    """The templates of the reports, with what they may call; what they print is escaped and cannot act."""
    return make_environment()


def make_environment(*packages: str) -> Environment:
    """An environment in which the `templates` of `packages` may use those of the reports, layout and components."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    from .compiled import CompiledTemplates

    here = Path(__file__)
    ours = PackageLoader(__package__ or "evalharness.report", "templates")
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package, "templates") for package in packages] + [ours])
        if packages
        else ours,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Every value that is printed passes here: control characters never reach the page.
        finalize=lambda value: safe(value) if type(value) is str else value,
        bytecode_cache=CompiledTemplates(here.with_name("templates"), here),
    )
    made.filters.update(
        figure=figure,
        like=lambda value, like: figure(value, like=like),
        amount=amount,
        interval=lambda triple: interval(triple[0], triple[1], like=triple[2]),
        word=lambda text: re.sub(r"[^a-z_]", "", str(text)),
        count=lambda number: f"{number:,.6g}" if abs(number) < 1e6 else f"{number:,.0f}",
        compact=compact,
        breaks=_breaks,
        retold=retold,
        utc=_utc,
        variant=lambda result: variant_of(result.task, result.model),
        bar=drawn_bar,
        drawn=svg_of,
        faith_charts=faith_charts,
        held=held_bar,
        signed=signed,
        reach=reach_of,
        largest=largest_of,
        word_bar=word_bar,
        text_scale=scale_of_text,
        step_bar=step_bar,
        level=lambda level: f"p{level}" if level > 0 else f"n{-level}" if level < 0 else "z",
    )
    # Looked up as they are called: a template is compiled once for all languages.
    made.globals.update(t=t, tm=tm, language=spoken)
    return made


def variant_of(task: str, model: str) -> str:
    """The model, with the variant of the matrix where the task is one."""
    _, at, rest = task.partition("@")
    return f"{model} · {rest}" if at and rest not in model else model


def compact(value: object) -> str:
    """`value` on one line: text as it is, all else as JSON, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(to_jsonable(value), ensure_ascii=False)
    return clip(single_line(text), 2000)


def _breaks(text: str) -> Markup:
    """A name in which a line may end behind a point, an underscore or an equals sign, and not within a word."""
    return Markup("<wbr>").join(re.split(r"(?<=[._=])(?=\w)", safe(text)))


def _utc(text: str) -> str:
    """`2026-11-21T10:00:42.123456+00:00` as `2026-11-21 10:00:42 UTC`; what is no time stays as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
