"""The order in which a run in parts asks its samples."""

import numpy as np

from evalharness.core.types import Sample
from evalharness.runner.look_order import joint_fractions, sample_order


def samples(n, *, cluster=None, groups=None):
    return [
        Sample(
            id=str(i),
            digest=f"{i:064x}",
            prompt="p",
            cluster=None if cluster is None else cluster(i),
            groups={} if groups is None else groups(i),
        )
        for i in range(n)
    ]


def test_every_sample_is_in_one_part_and_parts_are_of_a_size():
    order = sample_order(samples(1_003), seed=0, n_parts=5)
    parts = [order.part(number) for number in range(5)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(1_003))
    assert [len(part) for part in parts] == [201, 201, 200, 201, 200]
    assert order.up_to(1).tolist() == sorted(np.concatenate(parts[:2]).tolist())
    assert joint_fractions([order])[None] == (201 / 1_003, 402 / 1_003, 602 / 1_003, 803 / 1_003, 1.0)


def test_the_order_hangs_on_seed_and_content_alone():
    first = sample_order(samples(100), seed=0, n_parts=2).places.tolist()
    assert first != list(range(100))
    assert sample_order(samples(100), seed=0, n_parts=2).places.tolist() == first
    assert sample_order(samples(100), seed=1, n_parts=2).places.tolist() != first
    # Of fewer samples the ones that are left keep their order.
    assert sample_order(samples(60), seed=0, n_parts=2).places.tolist() == [i for i in first if i < 60]


def test_the_first_part_is_drawn_from_the_whole_file():
    part = sample_order(samples(1_000), seed=0, n_parts=5).part(0)
    assert abs(np.mean(part) - 499.5) < 4 * 288 / np.sqrt(200)


def test_a_cluster_stays_in_one_part():
    of = [i // 7 for i in range(500)]
    order = sample_order(samples(500, cluster=lambda i: f"c{i // 7}"), seed=3, n_parts=4)
    parts = [{of[i] for i in order.part(number).tolist()} for number in range(4)]
    assert sum(map(len, parts)) == len(set(of))
    assert all(100 <= len(order.part(number)) <= 150 for number in range(3))


def test_groups_are_counted_where_they_matter():
    found = samples(100, groups=lambda i: {"language": "de" if i % 4 == 0 else "en"})
    order = sample_order(found, seed=0, n_parts=2, groups={"language=de", "language=fr"})
    n = sum(i % 4 == 0 for i in order.part(0).tolist())
    assert order.groups == {"language=de": (n, 25)}
    assert joint_fractions([order])["language=de"] == (n / 25, 1.0)
    # A group of tasks has the samples of all of them; one of them may have none of a group.
    other = sample_order(samples(10), seed=0, n_parts=2, groups={"language=de"})
    for both in ([order, other], [other, order]):
        assert joint_fractions(both) == {None: (55 / 110, 1.0), "language=de": (n / 25, 1.0)}


def test_few_samples_and_none():
    order = sample_order(samples(3), seed=0, n_parts=5)
    assert sum(len(order.part(number)) for number in range(5)) == 3
    assert sample_order([], seed=0, n_parts=3).ends == (0, 0, 0)
