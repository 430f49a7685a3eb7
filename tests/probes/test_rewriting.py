"""Texts rewritten along an axis, case by case, in English and Chinese."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalharness.core.errors import UsageError
from evalharness.core.types import Place, Row
from evalharness.probes.counterfactual import Counterfactual
from evalharness.probes.rewriting import Rewriter
from evalharness.probes.terms import read_terms

DATA = Path(__file__).parents[2] / "evalharness" / "probes" / "counterfactual_data"


def rewriter(axis, language="en"):
    return Rewriter(read_terms(DATA / f"terms_{language}.yaml", "terms").axes[axis])


def at(level, text, axis="gender", language="en"):
    found = rewriter(axis, language).rewritten([text], level)
    return None if found is None else found[0]


@pytest.mark.parametrize(
    ("female", "male"),
    [
        ("She told her friend.", "He told his friend."),
        ("I saw her.", "I saw him."),
        ("I saw her and left.", "I saw him and left."),
        ("I gave her the book.", "I gave him the book."),
        ("They called her yesterday.", "They called him yesterday."),
        ("Let her go.", "Let him go."),
        ("We watched her leave.", "We watched him leave."),
        ("They watched her house.", "They watched his house."),
        ("Her old car is hers.", "His old car is his."),
        ("Her very old car broke.", "His very old car broke."),
        ("It hurt her badly.", "It hurt him badly."),
        ("It was her newly painted door.", "It was his newly painted door."),
        ("HER BOOK. She said so herself.", "HIS BOOK. He said so himself."),
        ("her 2nd car", "his 2nd car"),
        ("Give her two books.", "Give him two books."),
        ("She paid her 30 dollars.", "He paid him 30 dollars."),
        ("She lost her two books.", "He lost his two books."),
        ("I like her more than tea.", "I like him more than tea."),
        ("her more recent work", "his more recent work"),
        ("Friends call her Mary.", "Friends call him John."),
        ("Call her mother.", "Call his father."),
        ("Dame Helen and the lady", "Sir Gregory and the gentleman"),
        ("She's here; the women's team won.", "He's here; the men's team won."),
        ("Emily said that Emily Carter knew Hannah.", "Jacob said that Jacob Carter knew Thomas."),
        ("EMILY is a lovely girl", "JACOB is a lovely boy"),
        ("an actress and a waitress", "an actor and a waiter"),
        ("The mothers, wives and ladies sang.", "The fathers, husbands and gentlemen sang."),
    ],
)
def test_english_gender_both_ways(female, male):
    assert at("male", female) == at("male", male) == male
    assert at("female", male) == at("female", female) == female


def test_common_names_are_rewritten_in_texts_though_they_stand_in_no_template():
    text = "John wrote that his order is late, and Mary agreed with John."
    assert at("female", text) == "Mary wrote that her order is late, and Patricia agreed with Mary."
    assert at("male", text) == "John wrote that his order is late, and Robert agreed with John."
    levels = [at(level, text, "ethnicity") for level in ("white", "black", "hispanic", "asian")]
    assert levels[1] == "Tyrone wrote that his order is late, and Lakisha agreed with Tyrone."
    assert len(set(levels)) == 4
    assert all("John" not in found and "Mary" not in found for found in levels)


def test_names_that_are_words_or_places_are_left_alone():
    for axis in ("gender", "ethnicity"):
        assert at(rewriter(axis).levels[0], "Will Virginia mark the bill, and may mary?", axis) is None


def test_last_names_behind_a_title_or_a_first_name_are_left_alone():
    text = "Mr. James met Henry James and Mr. James Smith; Dr. James came."
    assert at("female", text) == "Ms. James met Ruth James and Ms. Jennifer Smith; Dr. Jennifer came."


def test_addresses_are_left_alone():
    text = "She wrote to mary.she@she.org and www.he.com, see https://she.org/he?she=he."
    assert at("male", text) == "He wrote to mary.she@she.org and www.he.com, see https://she.org/he?she=he."
    assert at("male", "https://she.org/she") is None


def test_names_of_ones_own_that_are_words_too(tmp_path):
    (tmp_path / "t.yaml").write_text(
        "version: 1\nlanguage: en\naxes:\n  gender:\n    levels: [female, male]\n    people_are: names\n"
        "    pronouns: {female: she, male: he}\n"
        "    people: [{female: May, male: Will}, {female: Grace, male: Mark}]\n"
        "    words: [{female: she, male: he}]\n",
        "utf-8",
    )
    own = Rewriter(read_terms(tmp_path / "t.yaml", "t.yaml").axes["gender"])
    for text, female in [
        ("Will you come, Will?", "Will you come, May?"),
        ("May I ask Mark? Mark the box. Mark says no.", "May I ask Grace? Mark the box. Grace says no."),
        ("In May and on May 5 he met Will.", "In May and on May 5 she met May."),
        ("Will's mark: 'He will do, and he may.'", "May's mark: 'She will do, and she may.'"),
        ("He said: Will the rain stop? WILL SMITH knows.", "She said: Will the rain stop? MAY SMITH knows."),
    ]:
        assert own.rewritten([text], "female") == [female]
    assert own.rewritten(["Will it rain in May?"], "female") is None


def test_a_name_of_no_level_must_have_somebody_to_become(tmp_path):
    text = (DATA / "terms_en.yaml").read_text("utf-8")
    (tmp_path / "t.yaml").write_text(
        text.replace("      she:\n        [", "      they: [Alex]\n      she:\n        [", 1), "utf-8"
    )
    with pytest.raises(UsageError, match="no line of people has the pronouns 'they'"):
        read_terms(tmp_path / "t.yaml", "t.yaml")
    (tmp_path / "t.yaml").write_text(
        text.replace("{female: Mary, male: John}", "{female: Emily Carter, male: John}"), "utf-8"
    )
    with pytest.raises(UsageError, match="'Emily Carter' stands at the level 'female' twice"):
        read_terms(tmp_path / "t.yaml", "t.yaml")


def test_titles():
    text = "Mrs Smith met Mr. Jones's niece."
    assert at("male", text) == "Mr Smith met Mr. Jones's nephew."
    assert at("female", text) == "Mrs Smith met Ms. Jones's niece."


def test_everybody_is_rewritten_to_the_level():
    text = "The man told his wife that the girl liked him."
    assert at("female", text) == "The woman told her wife that the girl liked her."
    assert at("male", text) == "The man told his husband that the boy liked him."


@pytest.mark.parametrize(
    "text",
    [
        "The sheriff has a theory.",  # the, he, her within words
        "A man-made lake, and mail to she@example.org",
        "he/she may bring his or her book; ladies and gentlemen",
        "Dear Sir or Madam, Mr. and Mrs. Smith: a boy or girl, male/female?",
        "It took 20 ms. MS is a disease. I miss it.",
        "A king-size bed",
        "emily is written small",
        "Riley and Quinn",
        "",
    ],
)
def test_what_is_no_term_is_left_alone(text):
    assert at("female", text) is None
    assert at("male", text) is None


def test_names_keep_their_identity():
    ethnic = rewriter("ethnicity")
    text = "Emily Walsh wrote to Greg. Walsh had met Greg Walsh, and Dr. Sullivan, and Kelly."
    assert ethnic.rewritten([text], "black") == [
        "Lakisha Washington wrote to Jamal. Washington had met Jamal Washington, and Dr. Jefferson, and Kelly."
    ]
    assert ethnic.rewritten([text], "white") == [text]
    # Lakisha is Emily's counterpart: where both are, one of them has to become somebody else.
    found = ethnic.rewritten(["Emily and Lakisha met.", "Lakisha left."], "white")
    assert found == ["Emily and Allison met.", "Allison left."]
    assert ethnic.rewritten(["Emily and Lakisha met.", "Lakisha left."], "asian") == [
        "Mei and Priya met.",
        "Priya left.",
    ]
    full = rewriter("ethnicity").rewritten(["Emily Walsh and Lakisha Washington met."], "hispanic")
    assert full == ["Guadalupe Ramirez and Alejandra Rodriguez met."]


def test_too_many_names_to_keep_apart_leave_the_row_out():
    names = [p.forms[level].split()[0] for p in rewriter("ethnicity").axis.people for level in ("white", "black")]
    assert at("white", " and ".join(names), "ethnicity") is None


@pytest.mark.parametrize(
    ("axis", "text", "level", "expected"),
    [
        ("religion", "A Muslim man prayed in the mosque.", "jewish", "A Jewish man prayed in the synagogue."),
        ("religion", "A Muslim walked by.", "jewish", "A Jewish person walked by."),
        ("religion", "a Muslim, who", "hindu", "a Hindu, who"),
        ("religion", "I am Jewish, and she is not Jewish.", "muslim", "I am Muslim, and she is not Muslim."),
        ("religion", "I am Muslim.", "jewish", "I am Jewish."),
        ("nationality", "He’s American.", "chinese", "He’s Chinese."),
        ("disability", "She's deaf, and he was blind.", "autistic", "She's autistic, and he was autistic."),
        ("disability", "I am also blind.", "wheelchair_user", "I am also using a wheelchair."),
        ("age", "Sam, aged 33, and a 19-year-old", "older", "Sam, aged 83, and a 69-year-old"),
        ("religion", "Two Jews and a Jewish person", "christian", "Two Christians and a Christian person"),
        ("religion", "an Islamic school", "buddhist", "a Buddhist school"),
        ("religion", "the Muslims' Quran", "jewish", "the Jews' Torah"),
        ("nationality", "An American lives in Germany.", "chinese", "A Chinese person lives in China."),
        ("nationality", "A German car", "american", "An American car"),
        ("nationality", "The Nigerians like Indian food", "chinese", "The Chinese people like Chinese food"),
        ("nationality", "Made in the United States of New Mexico", "german", "Made in Germany of New Mexico"),
        ("age", "A 25-year-old woman", "older", "A 75-year-old woman"),
        ("age", "A young nurse, 30 years old", "older", "An elderly nurse, 80 years old"),
        ("age", "An 80-year-old", "middle", "A 50-year-old"),
        ("disability", "He is a blind man.", "autistic", "He is an autistic man."),
        ("disability", "A man who uses a wheelchair met deaf women.", "blind", "A blind man met blind women."),
        ("disability", "Two deaf people met.", "wheelchair_user", "Two wheelchair users met."),
        ("orientation", "A gay man and a lesbian.", "straight", "A straight man and a straight woman."),
        ("orientation", "a lesbian couple", "straight", "a heterosexual couple"),
        ("orientation", "a heterosexual man", "gay", "a gay man"),
    ],
)
def test_other_axes(axis, text, level, expected):
    assert at(level, text, axis) == expected


@pytest.mark.parametrize(
    ("axis", "text"),
    [
        ("disability", "They turned a blind eye; it fell on deaf ears."),
        ("nationality", "Native Americans of New Mexico and the Indian Ocean"),
        ("age", "He is older than I am."),
        ("religion", "Hans Christian Andersen"),
    ],
)
def test_phrases_that_speak_of_nobody(axis, text):
    assert all(at(level, text, axis) is None for level in rewriter(axis).levels)


@pytest.mark.parametrize(
    ("axis", "text", "level", "expected"),
    [
        ("gender", "他告诉他的妻子，其他人也知道。", "female", "她告诉她的妻子，其他人也知道。"),
        ("gender", "王丽说她喜欢吉他。", "male", "王强说他喜欢吉他。"),
        ("gender", "女朋友和女儿", "male", "男朋友和儿子"),
        ("gender", "性别：男，25岁，护士", "female", "性别：女，25岁，护士"),
        ("gender", "男护士是王丽丽的老公", "female", "女护士是王丽丽的老婆"),
        ("gender", "女王、公主和外孙女，儿女双全", "male", "国王、王子和外孙，儿女双全"),
        ("age", "我今年33岁", "older", "我今年83岁"),
        ("gender", "首先生产线停了，先生来了", "female", "首先生产线停了，女士来了"),
        ("nationality", "一位德国工程师去了印度尼西亚", "chinese", "一位中国工程师去了印度尼西亚"),
        ("religion", "基督教徒去教堂", "muslim", "穆斯林去清真寺"),
        ("religion", "他知道教堂在哪里", "muslim", "他知道清真寺在哪里"),
        ("age", "25岁和125岁", "older", "75岁和125岁"),
        ("orientation", "异性恋者", "gay", "同性恋者"),
        ("ethnicity", "卓玛和扎西", "han", "王晓燕和王建军"),
    ],
)
def test_chinese(axis, text, level, expected):
    assert at(level, text, axis, "zh") == expected


def test_chinese_without_terms():
    assert at("female", "其他人喜欢吉他", language="zh") is None


def test_rows_are_rewritten_in_the_named_fields_only():
    row = Row("7", {"text": "He came.", "turns": [{"content": "his car"}, 3], "gold": "he"}, Place("f", 1), {}, "c")
    variants = {v.name: v for v in Counterfactual(axis="gender").variants({}, Path())}
    assert list(variants) == ["female", "male"]
    found = variants["female"].rewrite(row, ("text", "turns", "missing"))
    assert found.fields == {"text": "She came.", "turns": [{"content": "her car"}, 3], "gold": "he"}
    assert (found.id, found.cluster, found.place) == (row.id, row.cluster, row.place)
    assert variants["male"].rewrite(row, ("text",)).fields == row.fields
    assert variants["female"].rewrite(row, ("gold",)).fields["gold"] == "she"
    assert variants["female"].rewrite(Row("8", {"text": "It came."}, Place("f", 2)), ("text",)) is None


def test_an_axis_without_words_is_refused():
    with pytest.raises(
        UsageError, match="the axis 'dialect' has no words that could be rewritten in texts; ask about its"
    ):
        Counterfactual(axis="dialect").variants({}, Path())
    with pytest.raises(UsageError, match="has no level 'they'"):
        Counterfactual(axis="gender", levels=("female", "they")).variants({}, Path())
    with pytest.raises(UsageError, match="give one of them"):
        Counterfactual(axis="gender", use="resume").variants({}, Path())
    assert [v.name for v in Counterfactual(axis="religion", levels=("muslim", "christian")).variants({}, Path())] == [
        "christian", "muslim",
    ]  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("axis", ["gender", "ethnicity", "nationality", "religion", "age", "disability", "orientation"])
def test_every_term_that_comes_along_is_found_and_stays_at_its_own_level(axis, language):
    own = rewriter(axis, language)
    terms = [(words.forms[level], level) for words in own.axis.words for level in own.levels]
    if own.axis.named:
        terms += [(person.forms[level], level) for person in own.axis.people for level in own.levels]
    for form, level in terms:
        seen = 0
        for text in (f"{form} thing", f"{form}.", f"We are {form}.") if language == "en" else (form, f"我说{form}。"):
            for other in own.levels:
                found = own.rewritten([text], other)
                seen += found is not None
                if found is not None and other == level:
                    assert found == [text], (form, level)
        assert seen, f"{form!r} is never found"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("axis", ["gender", "religion", "age", "orientation", "nationality", "disability"])
def test_templates_that_are_rewritten_are_the_templates_of_the_other_level(axis, language):
    """Two ways to the same text: a person put in the place, and the text of another person rewritten."""
    probe = Counterfactual(axis=axis, use="sentiment", language=language, per_template=1)
    own = rewriter(axis, language)
    texts = {(row.cluster, row.groups[axis]): str(row.fields["text"]) for row in probe.rows(Path())}
    n = 0
    for (cluster, level), text in texts.items():
        if level not in own.levels:
            continue
        for other in own.levels:
            found = own.rewritten([text], other)
            assert found is not None, text
            n += found == [texts[cluster, other]]
    assert n >= 0.6 * sum(level in own.levels for _, level in texts) * len(own.levels)
