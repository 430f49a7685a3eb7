from __future__ import annotations

import sys

import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Response, Sample
from evalharness.metrics import language as language_module
from evalharness.metrics.base import MetricOptionError
from evalharness.metrics.language import LanguageMatch

TEXTS = {
    "en": "The weather is fine today, and we are going for a walk by the river.",
    "de": "Das Wetter ist heute schön, und wir gehen am Fluss spazieren.",
    "fr": "Il fait beau aujourd'hui et nous allons nous promener au bord de la rivière.",
    "es": "Hoy hace buen tiempo y vamos a dar un paseo junto al río.",
    "ru": "Сегодня хорошая погода, и мы идём гулять вдоль реки.",
    "zh": "今天天气很好，我们去河边散步。",
    "ja": "今日は天気がいいので、川沿いを散歩します。",
    "ko": "오늘은 날씨가 좋아서 우리는 강가를 산책합니다.",
    "ar": "الطقس جميل اليوم وسنذهب في نزهة على ضفاف النهر.",
    "th": "วันนี้อากาศดีและเราจะไปเดินเล่นริมแม่น้ำ",
}


def values(metric, answers, references=None, groups=None):
    samples = [
        Sample(
            id=str(i),
            digest="",
            prompt="",
            references=(references[i],) if references else (),
            groups=groups[i] if groups else {},
        )
        for i in range(len(answers))
    ]
    return metric.values(samples, [Response(key=str(i), text=text) for i, text in enumerate(answers)])


@pytest.mark.parametrize("code", TEXTS)
def test_tells_languages(code):
    expected = [float(other == code) for other in TEXTS]
    assert values(LanguageMatch(language=code), list(TEXTS.values())) == expected


@pytest.mark.parametrize(
    ("code", "text"), [("zh", "2024年"), ("zh-TW", "對"), ("el", "ο"), ("ko", "네 ok"), ("ja", "はい")]
)
def test_a_script_of_its_own_is_enough_for_a_short_answer(code, text):
    """Of 2024年 py3langid makes Wu."""
    assert values(LanguageMatch(language=code), [text]) == [1.0]
    assert values(LanguageMatch(language="de"), [text]) == [0.0]


def test_chinese_is_not_japanese_and_old_codes_count():
    assert values(LanguageMatch(language="ja"), [TEXTS["zh"]]) == [0.0]
    assert values(LanguageMatch(language="zh"), [TEXTS["ja"]]) == [0.0]
    assert values(LanguageMatch(language="iw"), ["שלום, מה שלומך היום?"]) == [1.0]


@pytest.mark.parametrize("code", ["ru", "zh", "ja", "ko", "ar", "th"])
def test_the_script_tells_scripts(code):
    expected = [float(other == code) for other in TEXTS]
    assert values(LanguageMatch(language=code, detector="script"), list(TEXTS.values())) == expected


def test_the_script_does_not_tell_languages_of_one_script():
    assert values(LanguageMatch(language="de", detector="script"), [TEXTS["en"], TEXTS["ru"]]) == [1.0, 0.0]


@pytest.mark.parametrize("detector", ["py3langid", "script"])
def test_expected_by_group_or_by_reference(detector):
    codes, texts = list(TEXTS), list(TEXTS.values())
    metric = LanguageMatch(group="lang", detector=detector)
    assert metric.needs == frozenset()
    assert values(metric, texts, groups=[{"lang": code} for code in codes]) == [1.0] * len(texts)
    assert values(metric, texts[:1], groups=[{}]) == [None]
    metric = LanguageMatch(detector=detector)
    assert metric.needs == {"references"}
    assert values(metric, texts, references=texts) == [1.0] * len(texts)
    assert values(metric, [TEXTS["ru"]], references=[TEXTS["en"]]) == [0.0]


@pytest.mark.parametrize("detector", ["py3langid", "script"])
def test_what_has_no_letters_has_no_language(detector):
    metric = LanguageMatch(language="de", detector=detector)
    assert values(metric, ["42", "", "3 + 4 = 7"]) == [None, None, None]
    failed = Response(key="x", text="", status="error")
    assert metric.values([Sample(id="x", digest="", prompt="")], [failed]) == [0.0]


def test_regions_are_left_aside(tmp_path):
    metric = LanguageMatch(language="de_AT")
    assert not list(metric.faults(tmp_path))
    assert values(metric, [TEXTS["de"]]) == [1.0]
    assert values(LanguageMatch(language="zh-Hant", detector="script"), [TEXTS["zh"]]) == [1.0]


def test_codes_that_nobody_knows(tmp_path):
    ((option, message),) = LanguageMatch(language="deutsch").faults(tmp_path)
    assert option == "language"
    assert "py3langid does not know 'deutsch'" in message
    with pytest.raises(MetricOptionError, match="which script 'tlh' is written in"):
        LanguageMatch(language="tlh", detector="script")
    with pytest.raises(UsageError, match=r"sample '0'.*'tlh'"):
        values(LanguageMatch(group="lang", detector="script"), ["x"], groups=[{"lang": "tlh"}])


def test_options_exclude_each_other():
    with pytest.raises(MetricOptionError, match="exclude each other"):
        LanguageMatch(language="de", group="lang")
    with pytest.raises(MetricOptionError, match="must not be empty"):
        LanguageMatch(language=" ")


def test_without_the_detector_the_remedy_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    language_module._identifier.cache_clear()
    ((option, message),) = LanguageMatch(language="de").faults(tmp_path)
    assert option == "detector"
    assert "py3langid" in message
    assert "evalharness[language]" in message
    assert not list(LanguageMatch(language="de", detector="script").faults(tmp_path))


def test_the_signature_names_the_detector():
    assert "|py3langid:" in LanguageMatch(language="de").signature
    assert "py3langid:" not in LanguageMatch(language="de", detector="script").signature
