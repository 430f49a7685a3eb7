from hypothesis import given
from hypothesis import strategies as st

from evalharness.core.keyindex import KeyIndex


@given(st.lists(st.text(max_size=3)), st.lists(st.text(max_size=3)))
def test_keys_are_numbered_once_and_found_again(keys, others):
    index = KeyIndex(keys)
    distinct = list(dict.fromkeys(keys))
    assert len(index) == len(distinct)
    assert [keys[place] for place in index.first] == distinct
    numbers = {key: index.number(key) for key in keys}
    assert sorted(numbers.values()) == list(range(len(distinct)))
    assert [numbers[key] for key in keys] == index.number_of.tolist()
    for key in others:
        assert index.number(key) == numbers.get(key, -1)
    assert index.numbers(others).tolist() == [numbers.get(key, -1) for key in others]


def test_many_keys_are_told_apart():
    # Among so many digests there are some with zeros wherever a zero may be.
    keys = [str(i) for i in range(30_000)]
    index = KeyIndex(keys)
    assert len(index) == len(keys)
    assert index.numbers(keys).tolist() == index.number_of.tolist()
    assert all(index.number(key) == number for key, number in zip(keys, index.number_of, strict=True))
