"""The raters' page as text: one for the server of `annotate` and the dashboard, in the rater's language."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from ..core.visible import safe
from .deck import Deck
from .desk import MAX_COMMENT

__all__ = ["Place", "asset_text", "render_page", "script_messages"]

_SAID: Final = re.compile(r"\bt\('([^']+)'")
_SPECIAL: Final = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def _english(message: str, **filled: object) -> str:
    return message % filled if filled else message


@dataclass(frozen=True, slots=True)
class Place:
    """Where the page stands: the addresses of its parts, and in the dashboard what its requests must hold.

    `api` is put before what the script asks for and `query` after it; `csrf` is empty where the link's token says who
    rates; `home` is the page to go back to.
    """

    css: str = "annotate.css"
    js: str = "annotate.js"
    api: str = "api/"
    query: str = ""
    csrf: str = ""
    home: str = ""
    language: str = "en"
    t: Callable[..., str] = _english


def render_page(deck: Deck, *, rater: str | None, show_reference: bool, place: Place | None = None) -> str:
    """The page on which `rater` (None: who says a name first) rates `deck`."""
    place = place or Place()
    text: str = _template().render(
        question=deck.question,
        asked=place.t(deck.question.asked),
        rater=rater,
        task=deck.outputs.task,
        n_items=len(deck.items),
        show_reference=show_reference,
        max_comment=MAX_COMMENT,
        words=_json({message: place.t(message) for message in script_messages()}),
        **{name: getattr(place, name) for name in ("css", "js", "api", "query", "csrf", "home", "language", "t")},
    )
    return text


def asset_text(name: str) -> str:
    """The page's style sheet or script."""
    found = resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")
    return found.replace("\r\n", "\n")


@cache
def script_messages() -> tuple[str, ...]:
    """What the script says, in English."""
    return tuple(dict.fromkeys(_SAID.findall(asset_text("annotate.js"))))


def _json(words: Mapping[str, str]) -> Any:
    from markupsafe import Markup

    text = json.dumps(words, ensure_ascii=False, separators=(",", ":"))
    return Markup(_SPECIAL.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__ or "evalharness.annotate", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Every value that is printed passes here: control characters never reach the page.
        finalize=lambda value: safe(value) if type(value) is str else value,
    )
    return environment.get_template("annotate.html.j2")
