import asyncio

from evalharness.core.allowance import granted_by, may_try_again


def test_without_a_budget_everything_may_be_tried_again():
    assert may_try_again()


def test_tasks_that_are_started_within_ask_the_same_grant():
    asked = []

    def grant():
        asked.append(None)
        return len(asked) < 3

    async def backend():
        return may_try_again()

    async def run():
        with granted_by(grant):
            return await asyncio.gather(*(asyncio.create_task(backend()) for _ in range(4)))

    assert asyncio.run(run()) == [True, True, False, False]
    assert may_try_again()
