"""Requests that wait while others are drawn are drawn together."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from gangen.errors import GangenError
from gangen.model import Model


class Busy(GangenError):
    """More wait than can be answered in time."""


@dataclass(frozen=True)
class Draw:
    """``n`` samples of a prompt by a seed; ``form`` makes of them what is sent."""

    prompt: Any
    n: int
    seed: int
    settings: Mapping[str, Any]
    form: Callable[[list[Any]], Any]
    answer: "asyncio.Future[Any]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Batches:
    """One thread draws, all that wait at a time, up to ``rows`` samples; what cannot be drawn troubles nobody else.

    At most ``waiting`` requests wait, none longer than ``seconds``. Samples are drawn a few at a time: of a batch that
    nobody waits for any longer no more are.
    """

    def __init__(self, model: Model, *, rows: int, waiting: int, seconds: float) -> None:
        self.model = model
        self.rows = rows
        self.seconds = seconds
        self.waiting = waiting
        self.queue: asyncio.Queue[Draw] = asyncio.Queue()

    async def draw(self, request: Draw) -> Any:
        """What becomes of a request. Raises what its drawing raises, and Busy where it would wait too long."""
        if self.queue.qsize() >= self.waiting:
            raise Busy(f"{self.waiting} requests wait already: try again later")
        self.queue.put_nowait(request)
        try:
            async with asyncio.timeout(self.seconds):
                return await request.answer
        except TimeoutError:
            raise Busy(
                f"there was no answer within {self.seconds:g} seconds: try again later, or ask for less"
            ) from None

    async def run(self) -> None:
        """Answer requests until this is cancelled."""
        with ThreadPoolExecutor(1, "draws") as thread:
            while True:
                together = [await self.queue.get()]
                while not self.queue.empty() and sum(it.n for it in together) < self.rows:
                    together.append(self.queue.get_nowait())
                wanted = [it for it in together if not it.answer.done()]  # nobody waits for the others any longer
                for request, outcome in await asyncio.get_running_loop().run_in_executor(thread, self._drawn, wanted):
                    if request.answer.done():
                        continue
                    if isinstance(outcome, Exception):
                        request.answer.set_exception(outcome)
                    else:
                        request.answer.set_result(outcome)

    def _drawn(self, wanted: Sequence[Draw]) -> list[tuple[Draw, Any]]:
        """Each request with what becomes of it, which may be an error."""
        alike: dict[str, list[Draw]] = {}
        for request in wanted:
            alike.setdefault(json.dumps(request.settings, sort_keys=True), []).append(request)
        return [outcome for requests in alike.values() for outcome in self._drawn_alike(requests)]

    def _drawn_alike(self, requests: Sequence[Draw]) -> list[tuple[Draw, Any]]:
        try:
            made = self.model.stream_each([(it.prompt, it.n, it.seed) for it in requests], **requests[0].settings)
            found: list[list[Any]] = [[] for _ in requests]
            for request, samples in zip(requests, found, strict=True):
                for sample in islice(made, request.n):
                    samples.append(sample)
                    if all(it.answer.done() for it in requests):
                        return []
            return [(it, it.form(samples)) for it, samples in zip(requests, found, strict=True)]
        except Exception as error:
            if len(requests) == 1:
                return [(requests[0], error)]
            return [outcome for it in requests for outcome in self._drawn_alike([it])]
