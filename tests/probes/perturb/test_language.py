"""Which language a text is evidently in."""

from __future__ import annotations

import pytest

from evalharness.probes.perturb.language import language_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The café is open, and the naïve guest was in.", "en"),
        ("Der Film, der am Montag lief, was 3,141 Meter lang und gut.", "de"),
        ("Sie ist am Bahnhof", "de"),
        ("L'été dernier, j'ai vu 2 500 oiseaux.", "fr"),
        ("El perro está en la casa", "es"),
        ("Il gatto è nella casa", "it"),
        ("De kat is niet in het huis", "nl"),
        ("O gato não está em casa", "pt"),
        ("这家餐厅用 Python 写菜单", "zh"),
        ("この映画は面白い", "ja"),
        ("이 영화는 재미있다", "ko"),
        ("الفيلم كان رائعا", "ar"),
        ("Это фильм", "ru"),
        ("The word 好 means good and it is Chinese", "en"),
        ("12 men", ""),
        ("", ""),
        ("👍 123", ""),
    ],
)
def test_cases(text, expected):
    assert language_of(text) == expected
