"""What waits is drawn together, each with what it would have alone; what cannot be drawn troubles nobody else."""

import asyncio

import pytest

from gangen import UsageError
from gangen.serving.batches import Batches, Busy, Draw


def drawn(model, draws, *, together=True, **limits):
    """What becomes of ``draws``, which all wait before the first is drawn."""

    async def work():
        batches = Batches(model, **{"rows": 500, "waiting": 100, "seconds": 60.0} | limits)
        asked = [asyncio.create_task(batches.draw(Draw(*draw, {}, list))) for draw in draws]
        await asyncio.sleep(0)
        running = asyncio.create_task(batches.run())
        try:
            return await asyncio.gather(*asked, return_exceptions=True)
        finally:
            model.sampler.may_draw.set()
            running.cancel()

    return asyncio.run(work())


def test_requests_that_wait_are_one_batch_and_each_has_what_it_would_have_alone(model):
    draws = [("ab", 2, seed) for seed in range(3)] + [("abc", 1, 0)]
    assert drawn(model, draws) == [model.sample(prompt, n, seed=seed) for prompt, n, seed in draws]
    assert model.sampler.asked[0] == 7


def test_a_batch_holds_no_more_than_it_may(model):
    drawn(model, [("ab", 2, seed) for seed in range(4)], rows=4)
    assert model.sampler.asked == [4, 4]


def test_what_cannot_be_drawn_is_an_error_of_its_own_alone(model):
    found = drawn(model, [("ab", 1, 1), ("?", 1, 1), (5, 1, 1), ("cd", 1, 2)])
    assert [found[0], found[3]] == [model.sample("ab", seed=1), model.sample("cd", seed=2)]
    assert [str(error) for error in found[1:3]] == [
        "'?' is no word",
        "words has no use for a prompt of type int: it takes a word",
    ]
    assert all(isinstance(error, UsageError) for error in found[1:3])


def test_too_many_are_sent_away_and_the_others_are_answered(model):
    found = drawn(model, [("ab", 1, seed) for seed in range(5)], waiting=3)
    assert [isinstance(it, Busy) for it in found] == [False] * 3 + [True] * 2


def test_nobody_waits_for_longer_than_is_said(model):
    model.sampler.may_draw.clear()
    [error] = drawn(model, [("ab", 1, 1)], seconds=0.01)
    assert isinstance(error, Busy) and "no answer within 0.01 seconds" in str(error)


def test_what_nobody_waits_for_is_drawn_no_further(model):
    model.sampler.may_draw.clear()
    [error] = drawn(model, [("ab", 40, 1)], seconds=0.01)
    assert isinstance(error, Busy)
    assert model.sampler.asked == [8]  # those that were being drawn; 32 would have followed


@pytest.mark.parametrize("form", [lambda made: 1 / 0])
def test_an_error_of_what_makes_the_answer_is_the_requests(model, form):
    async def work():
        batches = Batches(model, rows=9, waiting=9, seconds=60.0)
        running = asyncio.create_task(batches.run())
        with pytest.raises(ZeroDivisionError):
            await batches.draw(Draw("ab", 1, 1, {}, form))
        assert await batches.draw(Draw("ab", 1, 1, {}, list)) == model.sample("ab", seed=1)
        running.cancel()

    asyncio.run(work())
