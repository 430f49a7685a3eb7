import pytest

from evalharness.core.canonical import digest
from evalharness.core.types import Response
from evalharness.runner.book import ResponseBook


def test_the_first_response_to_a_key_holds_and_strangers_are_let_go():
    book = ResponseBook(["b", "a", "b", "é\ud800"])
    assert len(book.index) == 3
    assert book.index.first.tolist() == [0, 1, 3]
    assert book.index.number_of[0] == book.index.number_of[2] != book.index.number_of[1]
    book.add([Response("a", text="1", input_tokens=2, output_tokens=3, n_retries=1)], from_store=True)
    book.add([Response("a", text="2", input_tokens=9), Response("z"), Response("b", status="error")])
    assert {key: book[key].text for key in book} == {"a": "1", "b": None}
    assert (len(book), book.n_failed, book.n_from_store) == (2, 1, 1)
    assert (book.input_tokens, book.output_tokens, book.n_retries) == (2, 3, 1)
    assert book.is_from_store("a")
    assert not book.is_from_store("b")
    assert "a" in book
    assert "é\ud800" not in book
    with pytest.raises(KeyError):
        book["z"]


def test_every_key_of_many_is_found():
    keys = [digest(i) for i in range(5000)]
    book = ResponseBook(keys)
    book.add(Response(key, text=key) for key in reversed(keys))
    assert all(book[key].text == key for key in keys)
    assert [book.index.number(key) for key in keys] == book.index.number_of.tolist()
    assert book.index.numbers([digest("other"), keys[7]]).tolist() == [-1, book.index.number_of[7]]


def test_responses_in_the_order_of_the_requests():
    book = ResponseBook(["b", "a", "b", "c"])
    book.add([Response("a", text="1"), Response("b", text="2")])
    assert [response.text for response in book.in_order(0, 3)] == ["2", "1", "2"]
    assert book.in_order(3, 0) == []
    with pytest.raises(KeyError):
        book.in_order(2, 2)


def test_nothing_asked():
    book = ResponseBook([])
    assert (len(book), len(book.index), list(book)) == (0, 0, [])
    assert book.index.number("a") == -1
