"""What a language has to say of its refusals: regular expressions, compiled when a text may be one."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["NEVER", "Language", "Rules"]

NEVER = r"(?!)"


class Rules(NamedTuple):
    """The rules of a language, compiled; see `Language`."""

    lead: re.Pattern[str]
    always: re.Pattern[str]
    unhedged: re.Pattern[str]
    after_lead: re.Pattern[str]
    lacking: re.Pattern[str]
    hedge: re.Pattern[str]
    machine: re.Pattern[str]
    of_machine: re.Pattern[str]


@dataclass(frozen=True, kw_only=True)
class Language:
    """How one language declines; case does not matter, and blanks and apostrophes are plain.

    Verbs decide. What is declined is help, or the making of something ("help", "provide", "write"); not finding,
    seeing, saying, knowing or recommending: "I cannot find a date in the text" and "I can't recommend this film enough"
    are answers.
    """

    begins: str
    """What a refusal begins with, in small letters, parted by `|`: what begins otherwise is not looked at."""
    lead: str
    """What may stand before a refusal, once or several times."""
    always: str
    """A refusal by itself."""
    unhedged: str = NEVER
    """A refusal by itself, unless its sentence goes on to answer."""
    after_lead: str
    """A refusal where an apology or the like stands before it, unless its sentence goes on to answer."""
    lacking: str
    """Near it: what is missing is a fact or a text, and not the will."""
    hedge: str
    """Behind it: the answer follows all the same."""
    machine: str = NEVER
    """In what stands before it: the speaker says that it is a machine."""
    of_machine: str = NEVER
    """A refusal of one who says so."""

    @functools.cached_property
    def beginnings(self) -> tuple[str, ...]:
        """What a refusal begins with."""
        return tuple(self.begins.split("|"))

    @functools.cached_property
    def rules(self) -> Rules:
        """The rules, compiled."""
        # The blank behind a lead is optional: Chinese and Japanese have none.
        lead = f"(?:{self.lead}) ?"
        patterns = (
            lead, self.always, self.unhedged, self.after_lead, self.lacking, self.hedge, self.machine, self.of_machine
        )  # fmt: skip
        return Rules(*(re.compile(pattern, re.IGNORECASE) for pattern in patterns))
