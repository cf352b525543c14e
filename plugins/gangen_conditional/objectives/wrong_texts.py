"""Texts that say something else: those of other rows, and the right one but for a word."""

import torch
from torch import Tensor

from gangen import all_gather, noise, rank
from gangen_text import TextSpec


def wrong_texts(texts: Tensor, spec: TextSpec, one_word: float = 0.0) -> Tensor:
    """A wrong text for each row of texts, int64 ``[n, length]``: of all processes' the next that says something else.

    The share ``one_word``, by chance, is the row's own but for one word, drawn from those in which it differs from the
    next other text that is as long. Where no text is another, or as long, it is the row's own, or the next other.
    """
    everyone = all_gather(texts).flatten(0, 1)
    mine = rank() * len(texts) + torch.arange(len(texts), device=texts.device)
    # Row by row all texts, the next ones first and its own last.
    order = (mine.unsqueeze(1) + torch.arange(1, len(everyone) + 1, device=texts.device)) % len(everyone)
    another = (everyone[order] != texts.unsqueeze(1)).any(2)
    wrong = everyone[_first(order, another)]
    if not one_word:
        return wrong
    length, lengths = spec.mask(texts).sum(1), spec.mask(everyone).sum(1)
    as_long = another & (lengths[order] == length.unsqueeze(1))
    donor = everyone[_first(order, as_long)]
    chance = noise.uniform(len(texts), 1 + texts.shape[1], device=texts.device)
    place = torch.where(donor != texts, chance[:, 1:], -1.0).argmax(1, keepdim=True)
    nearly = texts.scatter(1, place, donor.gather(1, place))
    return torch.where((as_long.any(1) & (chance[:, 0] < one_word)).unsqueeze(1), nearly, wrong)


def _first(order: Tensor, fits: Tensor) -> Tensor:
    """The first of each row of ``order`` that ``fits``, both ``[n, rows]``; its last where none does."""
    none = ~fits.any(1, keepdim=True)
    fits = torch.cat([fits[:, :-1], fits[:, -1:] | none], dim=1)
    return order.gather(1, fits.int().argmax(1, keepdim=True)).squeeze(1)
