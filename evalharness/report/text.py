"""Text and figures as people read them. Only here are figures rounded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..core.language import t
from ..core.visible import safe, single_line

__all__ = [
    "MISSING",
    "amount",
    "clip",
    "duration",
    "figure",
    "interval",
    "joined",
    "level_of",
    "listed",
    "percent_text",
    "plural",
    "safe",
    "share",
    "single_line",
]

MISSING = "—"


def clip(text: str, limit: int) -> str:
    """`text`, or its first `limit` − 1 characters and an ellipsis."""
    return text if len(text) <= limit else f"{text[: max(0, limit - 1)]}…"


def _decimals(scale: float) -> int:
    if scale >= 1000:
        return 0
    if scale >= 100:
        return 1
    if scale >= 10:
        return 2
    return 3 if scale >= 0.1 or scale == 0 else 4 if scale >= 0.01 else 6


def figure(value: float | None, *, like: float | None = None) -> str:
    """`value` rounded for reading: 0.843, 27.31, 118.4, 12,345; as many decimals as `like` would get. NaN is —."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    scale = abs(value if like is None or not math.isfinite(like) else like)
    if abs(value) >= 1e15 or 0 < abs(value) < 5e-7:
        text = f"{value:.3g}"
    else:
        text = f"{value:,.{_decimals(scale)}f}"
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("-")
    return text.replace("-", "−", 1) if text.startswith("-") else text


def interval(low: float, high: float, *, like: float) -> str:
    """`[low, high]` with the decimals of `like`; — where there is none."""
    if math.isnan(low) or math.isnan(high):
        return MISSING
    return f"[{figure(low, like=like)}, {figure(high, like=like)}]"


def amount(number: int | float | None) -> str:
    """A count with thousands separated; — for None."""
    if number is None or (isinstance(number, float) and not math.isfinite(number)):
        return MISSING
    return f"{int(number):,}"


def share(part: float, whole: float) -> str:
    """`part` of `whole` in per cent; — of nothing. Never 0 % or 100 % for what is not."""
    if not whole:
        return MISSING
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return percent_text("<0.1")
    return percent_text(">99.9" if 99.9 < percent < 100 else f"{percent:.3g}")


def percent_text(number: str) -> str:
    """`95 %`, as the language that is spoken writes it."""
    return t("%(number)s %%", number=number)


def level_of(confidence: float) -> str:
    """A confidence in per cent: `95 %`."""
    return percent_text(f"{100 * confidence:g}")


def duration(seconds: float | None) -> str:
    """12 ms, 3.4 s, 2 min 05 s, 1 h 03 min; — for None or NaN."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms" if seconds else "0 ms"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    if whole < 3600:
        return t("%(minutes)s min %(seconds)s s", minutes=whole // 60, seconds=f"{whole % 60:02d}")
    return t("%(hours)s h %(minutes)s min", hours=whole // 3600, minutes=f"{whole % 3600 // 60:02d}")


def plural(count: int, noun: str) -> str:
    """`1 sample`, `1,200 samples`; in the language that is spoken."""
    return t(f"%(n)s {noun}{'' if count == 1 else 's'}", n=f"{count:,}")


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return t("%(some)s and %(last)s", some=t(", ").join(names[:-1]), last=names[-1])


def joined(counts: Mapping[str, int]) -> str:
    """`ok 498 · error 2`, the order kept."""
    return " · ".join(f"{name} {count:,}" for name, count in counts.items())
