"""Which language a text is evidently in, by script and commonest words: enough to keep English rules off German.

Perturbations ask it so that "Der Film, der am Montag lief" is not made "am not Montag". It names no language where
nothing speaks for one, and no more than perturbations have rules for; it is no detector of languages.
"""

from __future__ import annotations

from functools import lru_cache

import regex

__all__ = ["language_of"]

# Words and letters that the others of these languages do not have, or hardly: "in", "was" and "die" say nothing.
_WORDS = {
    "en": "the and of is are were this that it with for not you have has would which they his her its from but been "
    "there their what i'm it's don't",
    "de": "der das und ist nicht ein eine einen einem einer mit für auf den dem des im zu sich auch es wir ich sie er "
    "war wird sind hat haben aber wie am nach bei von aus oder nur noch kein keine",
    "fr": "le les et est une du des dans pour pas que qui sur avec il elle nous vous je ce cette sont au aux mais "
    "c'est j'ai était été ont",
    "es": "el los las y una del por con para pero como está muy más sus fue son lo que ha es su al",
    "it": "il gli di nel nella alla che è una per con non sono della più ma anche questo questa ho degli",
    "nl": "het een en van niet dat op te zijn voor met maar ook deze dit heeft wordt ik je wij naar bij uit",
    "pt": "o os uma do da dos das em não com para por mais mas foi ao muito é são você",
}
_LETTERS = {"de": "äöüß", "fr": "çœêèàâîûë", "es": "ñ¿¡", "pt": "ãõ", "it": "ìò"}
_SCRIPTS = (
    ("ja", regex.compile(r"[\p{Hiragana}\p{Katakana}]")),
    ("zh", regex.compile(r"\p{Han}")),
    ("ko", regex.compile(r"\p{Hangul}")),
    ("ar", regex.compile(r"\p{Arabic}")),
    ("he", regex.compile(r"\p{Hebrew}")),
    ("ru", regex.compile(r"\p{Cyrillic}")),
    ("el", regex.compile(r"\p{Greek}")),
    ("th", regex.compile(r"\p{Thai}")),
    ("hi", regex.compile(r"\p{Devanagari}")),
)
_LATIN = regex.compile(r"\p{Latin}")
_TOKEN = regex.compile(r"[\p{L}\p{M}]+(?:['’][\p{L}\p{M}]+)*")
_OF_WORD: dict[str, list[str]] = {}
for _language, _listed in _WORDS.items():
    for _word in _listed.split():
        _OF_WORD.setdefault(_word, []).append(_language)


@lru_cache(maxsize=256)
def language_of(text: str) -> str:
    """The ISO 639-1 code of the language of most of `text`; "" where nothing speaks for one ("12 men").

    Another script than Latin names its commonest language (Cyrillic: ru). Of languages in Latin letters it knows
    English, German, French, Spanish, Italian, Dutch and Portuguese.
    """
    counts = {name: len(pattern.findall(text)) for name, pattern in _SCRIPTS}
    if counts["ja"]:
        counts["ja"] += counts.pop("zh")
    best = max(counts, key=counts.__getitem__)
    # A character of Chinese says as much as a few letters.
    weight = 3 if best in ("ja", "zh", "ko") else 1
    if counts[best] and counts[best] * weight >= len(_LATIN.findall(text)):
        return best
    found = dict.fromkeys(_WORDS, 0)
    for match in _TOKEN.finditer(text.lower().replace("’", "'")):
        for language in _OF_WORD.get(match.group(), ()):
            found[language] += 1
    for language, letters in _LETTERS.items():
        found[language] += any(letter in text for letter in letters)
    most = max(found.values())
    ahead = [language for language, count in found.items() if count == most]
    return ahead[0] if most and len(ahead) == 1 else ""
