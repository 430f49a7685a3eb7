"""What the entries of a suite are made of: names, texts, the strict base of all of them, and generation settings."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue

__all__ = [
    "PLAIN_NAME",
    "Generation",
    "Name",
    "Sha256",
    "Strict",
    "Template",
    "Text",
    "VariantName",
    "only_with",
]

PLAIN_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
Name = Annotated[str, Field(pattern=PLAIN_NAME)]
# A model or task; `matrix` makes variants of them, whose names have an @: candidate@temperature=0.7.
VariantName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}(@[^\s@]+)?$")]
Template: TypeAlias = str
Text = Annotated[str, Field(min_length=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def only_with(given: set[str], keys: tuple[str, ...], needed: str) -> None:
    """Raise a `ValueError` if some of `keys` are among those that are `given`: they do nothing without `needed`."""
    extra = [key for key in keys if key in given]
    if extra:
        verb = "has" if len(extra) == 1 else "have"
        raise ValueError(f"{' and '.join(extra)} {verb} no effect without {needed}; remove it")


class Strict(BaseModel):
    """Frozen, and no key but the declared ones."""

    # Built when first used, as one whole: building each model on its own takes twice as long.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class Generation(Strict):
    """How text is generated."""

    max_tokens: int | None = Field(None, ge=1, description="Most tokens to generate (default 256).")
    temperature: float | None = Field(None, ge=0, description="0 is greedy decoding (default 0).")
    top_p: float | None = Field(None, gt=0, le=1, description="Nucleus sampling.")
    top_k: int | None = Field(None, ge=1, description="Sample from the k likeliest tokens.")
    stop: tuple[Text, ...] | None = Field(None, description="Strings that end the output; not part of it.")
    seed: int | None = Field(None, ge=0, description="Seed of sampling (default: the suite's seed).")
    repeats: int | None = Field(None, ge=1, le=1000, description="Answers asked for each sample (default 1).")
    json_schema: dict[str, JsonValue] | Text | None = Field(
        None,
        description="JSON Schema that the output must obey, here or in a JSON file beside the suite; for servers that "
        "can hold a model to it (openai: chat, responses).",
    )
