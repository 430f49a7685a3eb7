import pytest

from evalharness.core.errors import UsageError
from evalharness.drift.defaults import make_test


def test_options_are_taken_by_name():
    assert make_test("ks", {"effect": 0.2}).effect == 0.2
    assert make_test("psi", {"effect": 1, "bins": 20}).bins == 20


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("kss", {}, "did you mean 'ks'"),
        ("ks", {"efect": 0.1}, "the drift test 'ks' has no option 'efect'; did you mean 'effect'"),
        ("ks", {"zzz": 0.1}, "no option 'zzz'; it takes effect"),
        ("psi", {"bins": 2.5}, "the option 'bins' of the drift test 'psi' takes a value like 10; got 2.5"),
        ("ks", {"effect": True}, "takes a value like 0.1; got True"),
        ("ks", {"effect": "big"}, "takes a value like 0.1; got 'big'"),
        ("ks", {"effect": -0.1}, "must be 0 or more; got -0.1"),
        ("ks", {"effect": float("nan")}, "must be 0 or more; got nan"),
    ],
)
def test_a_bad_option_says_what_it_takes(name, options, message):
    with pytest.raises(UsageError, match=message):
        make_test(name, options)
