"""Contenders that are timed in turns, so that what else the machine does is shared among them."""

import time
from collections.abc import Callable, Mapping


def milliseconds(contenders: Mapping[str, Callable[[], None]], rounds: int, stretches: int) -> dict[str, list[float]]:
    """CPU milliseconds a round of each, in each of so many stretches, which every contender plays before the next.

    One call of a contender is a stretch of ``rounds`` rounds. A first one warms up and is not counted.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for stretch in range(stretches + 1):
        for name, play in contenders.items():
            start = time.process_time()
            play()
            if stretch:
                times[name].append((time.process_time() - start) / rounds * 1000)
    return times
