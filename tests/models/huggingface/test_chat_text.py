"""The text that a chat template makes of turns, without loading the weights."""

from pathlib import Path
from typing import Any

import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Message

pytestmark = pytest.mark.model

STRICT = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
TURNS = (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "So"))


def text(build: Any, folder: Path, turns: Any, *, begin: bool) -> str:
    model = build("hf-causal", folder)
    found = str(model.chat_text(turns, begin))
    assert model._loaded_model is None
    return found


def test_it_is_what_the_tokenizer_says(build: Any, checkpoints: Any, chat_template: str) -> None:
    from transformers import AutoTokenizer

    folder = checkpoints("llama", "causal", template=chat_template)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    turns = [{"role": turn.role, "content": turn.content} for turn in TURNS]
    asked = tokenizer.apply_chat_template(turns[:2], tokenize=False, add_generation_prompt=True)
    assert text(build, folder, TURNS[:2], begin=True) == asked
    continued = tokenizer.apply_chat_template(turns, tokenize=False, continue_final_message=True)
    assert text(build, folder, TURNS, begin=False) == continued
    assert continued.endswith("So")


def test_a_template_without_system_turns_gets_none(build: Any, checkpoints: Any, chat_template: str) -> None:
    folder = checkpoints("llama", "causal", template=STRICT + chat_template)
    assert "Be brief." not in text(build, folder, TURNS[:2], begin=True)


def test_what_cannot_be_rendered_is_said(build: Any, checkpoints: Any) -> None:
    with pytest.raises(UsageError, match="has no chat template; set apply_chat_template: false"):
        text(build, checkpoints("llama", "causal"), TURNS, begin=True)
    refusing = checkpoints("llama", "causal", template="{{ raise_exception('never') }}")
    with pytest.raises(UsageError, match="refuses these turns: never"):
        text(build, refusing, TURNS, begin=True)
