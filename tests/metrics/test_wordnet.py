from __future__ import annotations

import zipfile
from itertools import chain

import pytest

from evalharness.core.errors import UsageError
from evalharness.metrics.wordnet import WordNet, find_wordnet

WORDS = (  # noqa: SIM905
    "car cars auto automobile railcar wolf wolves went going goes travels moved obey heeded "
    "city cities boxes boxing large larger biggest fast faster quickly fastest Berlin berlin "
    "nothing 北京 s es ing motor_car"
).split()


@pytest.mark.parametrize("word", WORDS)
def test_synonyms_are_nltks(word, wordnet_folder, nltk_wordnet):
    names = chain.from_iterable(synset.lemma_names() for synset in nltk_wordnet.synsets(word))
    assert WordNet(wordnet_folder).synonyms(word) == {name for name in names if "_" not in name} | {word}


def test_some_synonyms(wordnet_folder):
    found = WordNet(wordnet_folder)
    assert found.version == "3.0"
    assert found.synonyms("cars") == {"cars", "car", "auto", "automobile", "railcar"}
    assert found.synonyms("went") == {"went", "go", "travel", "move"}
    assert found.synonyms("big") == {"big", "large"}


def test_is_found_in_folders_of_all_kinds(wordnet_folder, tmp_path):
    data = wordnet_folder.parents[1]
    assert find_wordnet(wordnet_folder) == find_wordnet(wordnet_folder.parent) == find_wordnet(data) == wordnet_folder
    archive = tmp_path / "corpora" / "wordnet.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as made:
        for path in wordnet_folder.iterdir():
            made.write(path, f"wordnet/{path.name}")
    assert find_wordnet(archive) == find_wordnet(tmp_path) == archive
    assert WordNet(archive).synonyms("wolves") == WordNet(wordnet_folder).synonyms("wolves") == {"wolves", "wolf"}


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"no WordNet in .*index\.noun, data\.noun"):
        find_wordnet(tmp_path)
    import nltk.data

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    monkeypatch.setattr("evalharness.metrics.wordnet._DEBIAN", tmp_path)
    with pytest.raises(UsageError, match=r"nltk\.downloader wordnet.*wordnet-base.*wordnet: FOLDER.*match: stem"):
        find_wordnet(None)


def test_damaged_files_are_said(make_wordnet, tmp_path):
    broken = make_wordnet(tmp_path / "wordnet")
    (broken / "verb.exc").unlink()
    with pytest.raises(UsageError, match=r"cannot be read.*verb\.exc"):
        WordNet(broken)
