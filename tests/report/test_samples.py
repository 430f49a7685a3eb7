import json

import pytest

from evalharness.report.samples import _fair, bundle_samples


def rows_of(bundle, outcome):
    names = bundle.to_dict()["outcomes"]
    return [row for row in bundle.rows if names[row["o"]] == outcome]


def test_outcomes_come_from_the_first_figure_of_0_and_1(make_record):
    bundle = bundle_samples(make_record())
    # Every fifth answer of the twelve is wrong (0, 5, 10), the fifth sample failed; BLEU says neither right nor wrong.
    assert bundle.by_outcome == {"failed": 1, "wrong": 3, "scored": 12, "right": 8}
    assert [row["id"] for row in rows_of(bundle, "failed")] == ["s4"]
    assert [row["id"] for row in rows_of(bundle, "wrong")] == ["s0", "s5", "s10"]
    assert [row["o"] for row in bundle.rows] == sorted(row["o"] for row in bundle.rows)
    assert (len(bundle.rows), bundle.total) == (24, 24)


@pytest.mark.parametrize("limit", [0, 1, 4, 10, 23])
def test_failed_and_wrong_ones_are_kept_first(make_record, limit):
    bundle = bundle_samples(make_record(), limit=limit)
    assert len(bundle.rows) == limit
    assert bundle.total == 24
    kept = [row["o"] for row in bundle.rows]
    assert kept[: min(limit, 4)] == [0, 1, 1, 1][:limit]
    assert [row["id"] for row in bundle.rows[:3]] == ["s4", "s0", "s5"][:limit]  # in the order of the record


def test_the_rest_is_shared_evenly(make_record):
    bundle = bundle_samples(make_record(models=("a", "b"), n=40), limit=60)
    places = [(row["t"], row["m"]) for row in bundle.rows if row["o"] > 1]
    counts = {place: places.count(place) for place in set(places)}
    assert len(counts) == 4
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize(
    ("counts", "budget", "shares"),
    [([5, 5], 4, [2, 2]), ([1, 9], 4, [1, 3]), ([0, 9, 1], 20, [0, 9, 1]), ([], 3, []), ([3, 3, 3], 0, [0, 0, 0])],
)
def test_fair(counts, budget, shares):
    assert _fair(counts, budget) == shares


def test_a_shared_preamble_is_stored_once(make_record):
    preamble = "Example: something long enough\n" * 20
    bundle = bundle_samples(make_record(n=30, prefix=preamble))
    assert bundle.shared == [preamble]
    texts = [row["p"] for row in bundle.rows if not row["c"]]
    assert all(part[0] == 0 and len(part) == 2 for part in texts)
    assert texts[0][1].startswith("Review")
    assert len(json.dumps(bundle.to_dict())) < 30 * len(preamble)


def test_a_long_system_message_is_stored_once(make_record):
    system = "You are careful. " * 50
    bundle = bundle_samples(make_record(system=system))
    assert bundle.shared == [system]
    chat = next(row for row in bundle.rows if row["c"])
    assert chat["p"][0] == ["system", 0]
    assert chat["p"][1][0] == "user"


def test_very_long_texts_are_cut_and_say_so(make_record):
    bundle = bundle_samples(make_record(odd="x" * 50_000, n=2))
    outputs = [row["x"] for row in bundle.rows if row["c"]]
    assert all(len(text) < 21_000 for text in outputs)
    assert all("more characters are in the record" in text for text in outputs)


def test_the_page_stays_bounded(make_record):
    bundle = bundle_samples(make_record(odd="y" * 1000, n=20), max_chars=20_000)
    assert 0 < len(bundle.rows) < 40
    assert rows_of(bundle, "failed")


def test_what_a_row_holds(make_record):
    bundle = bundle_samples(make_record())
    row = next(row for row in bundle.rows if row["id"] == "s5")
    assert row["p"] == ["Review 5: a film \nSentiment:"]
    assert row["ch"] == [" neg", " pos"]
    assert row["ll"] == [[-1.5, 1, 1], [-1.5, 1, 0]]
    assert (row["a"], row["g"]) == ("neg", "pos")
    assert row["gr"] == [["language", "de"]]
    names = next(m for m in bundle.metrics if (m["t"], m["m"]) == (row["t"], row["m"]))["names"]
    assert dict(zip(names, row["sc"], strict=True))["accuracy"] == 0.0
    failed = next(row for row in bundle.rows if row["id"] == "s4")
    assert failed["e"].startswith("connection lost")
    assert failed["sc"][0] is None


def test_an_empty_record(make_record):
    bundle = bundle_samples(make_record(n=0, models=(), results=[]))
    assert (bundle.rows, bundle.total) == ([], 0)
