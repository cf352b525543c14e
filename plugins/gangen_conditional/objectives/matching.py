"""What games of texts that are made from something have in common: a discriminator that knows what belongs together."""

from typing import Any

import torch
from torch import Tensor

from gangen import Batch, Players, Stats, all_roll
from gangen_conditional.spec import TextFromSpec
from gangen_text import SeqGAN


class MatchingGame(SeqGAN):
    """SeqGAN whose discriminator is matching-aware (Reed et al. 2016, algorithm 1; Dai et al. 2017, equation 7): to it
    a real text of another input, that of the row before in the batch of all processes, is a fake as those of the
    generator are, and of the loss of fakes either kind is one half. ``matching: false`` is the game without that.

    The discriminator has ``encoder`` and ``judge`` as that of ``conditional/joint``.
    """

    def __init__(self, spec: TextFromSpec, *, matching: bool = True, **options: Any) -> None:
        super().__init__(spec, **options)
        self.matching = matching
        self.needs = {"discriminator": [*self.needs["discriminator"], "encoder", "judge"]}

    def verdicts(self, players: Players, batch: Batch, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``[B, 2]`` of a real text, twice, against a fake and against a wrong one; or ``[B]`` of either."""
        texts, inputs = [real, fake], [batch["input"]]
        rows = torch.arange(len(real), device=real.device)
        places = [rows, rows]
        if self.matching:
            texts.append(real)
            inputs.append(all_roll(batch["input"]))
            places.append(rows + len(real))
        memory = players.discriminator.encoder(torch.cat(inputs))
        # Neighbours stay neighbours, so that noise belongs to the batch's rows.
        together, places = torch.stack(texts, dim=1).flatten(0, 1), torch.stack(places, dim=1).flatten()
        said = players.discriminator.judge(together, memory, places).unflatten(0, (len(real), -1))
        return said[:, :1].expand(-1, len(texts) - 1), said[:, 1:]

    def figures(self, real: Tensor, fake: Tensor) -> Stats:
        kinds = zip(("fake", "wrong"), fake.detach().mean(0), strict=False)
        return super().figures(real, fake) | dict(kinds)

    def logits_of(self, players: Players, texts: Tensor, condition: Batch, rows: Tensor) -> Tensor:
        """See SeqGAN; each input is looked at once."""
        return players.discriminator.judge(texts, players.discriminator.encoder(condition["input"]), rows)
