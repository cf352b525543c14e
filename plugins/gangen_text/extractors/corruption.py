"""Texts with something wrong in them, made from real ones: what an encoder learns to tell from texts."""

import torch
from torch import Tensor

from gangen_text.spec import TextSpec


def text_only(rows: Tensor, spec: TextSpec) -> Tensor:
    """``rows``, int64 ``[n, length]``, with nothing but padding behind the first end."""
    return rows if spec.pad is None else rows.masked_fill(~spec.mask(rows), spec.pad)


def corrupted(rows: Tensor, spec: TextSpec, generator: torch.Generator) -> Tensor:
    """One corrupted text of each of ``rows``, int64 ``[n, length]`` on the CPU; all draws are ``generator``'s.

    Three kinds take turns. Tokens change places, within two places of their own or anywhere. Some tokens, from one in
    twenty to more than a third, give way to tokens of all these rows, as often as they stand there. A text breaks off
    and goes on at another place: its own, so that something is missing or said twice, or one of the next row's.
    A short text may come back as it was.
    """
    n, length = rows.shape
    within, text = spec.mask(rows), spec.text(rows)
    count = text.sum(1, keepdim=True)
    place = torch.arange(length).expand(n, length)
    first = torch.arange(n)[:, None] * length

    def chance(columns: int) -> Tensor:
        return torch.rand(n, columns, generator=generator, dtype=torch.float32)

    # All that follows are indices into the rows, laid end to end.
    reach = 2 + count * chance(1).square()
    moved = torch.where(text, place + reach * chance(length), place + 3.0 * length).argsort(1) + first

    # An end among the tokens that are drawn cuts a text short, which is a fault too.
    pool = within.flatten().nonzero()[:, 0]
    drawn = pool[(chance(length) * len(pool)).long().clamp(max=len(pool) - 1)]
    share = 0.05 + 0.3 * chance(1).square()
    replaced = torch.where(text & (chance(length) < share), drawn, place + first)

    other = torch.where(chance(1) < 0.5, torch.arange(n)[:, None], torch.arange(n).roll(-1)[:, None])
    broken_off = 1 + (count * chance(1)).long()
    resumed = (count[other[:, 0]] * chance(1)).long()
    elsewhere = (place - broken_off + resumed) % length + other * length
    spliced = torch.where(place < broken_off, place + first, elsewhere)

    kind = torch.arange(n)[:, None] % 3
    source = torch.where(kind == 0, moved, torch.where(kind == 1, replaced, spliced))
    return text_only(rows.flatten()[source], spec)
