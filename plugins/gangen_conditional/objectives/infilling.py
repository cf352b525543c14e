"""MaskGAN: words that were hidden are filled in, and each is judged by itself."""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from torch import Tensor, nn

from gangen import Batch, Clock, Mean, Players, Stats, at_least_float32, evaluating, needs, updates
from gangen_conditional.networks.infilling import holes_of
from gangen_conditional.spec import TextFromSpec
from gangen_text import moments, token_mean


class Infilling(nn.Module):
    """Fedus et al. (2018): the discriminator judges each filled token, and what it says is that token's reward.

    Imitation comes first; the discriminator then begins as the generator is (``hand_over``), as both are alike.

    The return of a token is the sum of its reward and those after it in the text, each discounted by ``discount`` to
    the power of how far away it is. The policy gradient (REINFORCE) makes tokens likelier whose return is above what
    was to be expected. That is told by ``fills`` of each text, drawn side by side: of each the baseline is the mean
    return of the others at that place (Kool et al., 2019), where the paper has a critic. Advantages have a deviation of
    one over the batches of all processes.

    ``reward`` is the ``logit`` of the discriminator or, as in the paper, the ``log_probability`` that it
    gives a token to be real. That is below 0, so that a fill has the more of it the shorter it is.

    Means run over the tokens that were chosen alone: ``HolesSpec.chosen``.
    """

    def __init__(
        self,
        spec: TextFromSpec,
        *,
        reward: Literal["logit", "log_probability"] = "logit",
        discount: Annotated[float, Interval(ge=0, le=1)] = 0.9,
        fills: Annotated[int, Ge(2)] = 4,
    ) -> None:
        super().__init__()
        self.holes = holes_of(spec)
        self.reward = reward
        self.discount = discount
        self.fills = fills

    @updates("generator")
    @needs(generator="log_prob")
    def imitate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Mean, Stats]:
        """Maximum likelihood of the words that were hidden."""
        log_prob = players.generator.log_prob(batch["tokens"], batch)
        return token_mean(-log_prob, self.holes.chosen(batch["tokens"], batch["input"])), {}

    @updates()
    @needs(discriminator="begin_as")
    def hand_over(self, players: Players, batch: Batch, clock: Clock) -> tuple[None, Stats]:
        """Let the discriminator begin as the generator is by now: from verdicts alone it would learn no language.

        Its figure is what that knows: the negative log-likelihood of the words that were hidden, as in ``imitate``.
        """
        generator = players.averaged("generator")
        players.discriminator.begin_as(generator)
        with evaluating(generator):
            log_prob = generator.log_prob(batch["tokens"], batch)
        return None, {"nll": token_mean(-log_prob, self.holes.chosen(batch["tokens"], batch["input"])).value}

    @updates("discriminator")
    @needs(generator="sample")
    def discriminate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Tensor, Stats]:
        """Tell each hidden word from what the generator fills in, by cross-entropy."""
        real, input = batch["tokens"], batch["input"]
        with torch.no_grad():
            fake = players.generator.sample(len(real), batch)
        # In one call, which is cheaper; neighbours stay neighbours, so that noise belongs to the batch's rows.
        both = torch.stack([real, fake], dim=1).flatten(0, 1)
        logits = at_least_float32(players.discriminator(both, {"input": input.repeat_interleave(2, dim=0)}))
        said_real, said_fake = logits.unflatten(0, (-1, 2)).unbind(1)
        true, made = self.holes.chosen(real, input), self.holes.chosen(fake, input)
        loss = token_mean(F.softplus(-said_real), true).value + token_mean(F.softplus(said_fake), made).value
        right = token_mean((said_real > 0).float(), true).value + token_mean((said_fake < 0).float(), made).value
        return loss, {"accuracy": right / 2}

    @updates("generator")
    @needs(generator=("sample", "log_prob"))
    def policy(self, players: Players, batch: Batch, clock: Clock) -> tuple[Mean, Stats]:
        """Make words likelier whose return is above that of others in their place: REINFORCE."""
        condition = {"input": batch["input"].repeat_interleave(self.fills, dim=0)}
        with torch.no_grad():
            tokens = players.generator.sample(len(condition["input"]), condition)
            chosen = self.holes.chosen(tokens, condition["input"])
            with evaluating(players.discriminator):
                logits = at_least_float32(players.discriminator(tokens, condition))
            rewards = (logits if self.reward == "logit" else F.logsigmoid(logits)) * chosen
            advantages = self.advantages(rewards)
            advantages = advantages / moments(advantages, chosen)[1].clamp(min=1e-8)
        log_prob = players.generator.log_prob(tokens, condition)
        figures = {"reward": rewards, "words": (tokens != self.holes.pad).float()}
        loss = token_mean(-advantages * log_prob, chosen)
        return loss, {name: token_mean(figure, chosen).value for name, figure in figures.items()}

    def advantages(self, rewards: Tensor) -> Tensor:
        """Returns less their baseline, float of the shape of ``rewards`` ``[n * fills, length]``."""
        places = torch.arange(rewards.shape[1], device=rewards.device)
        away = places.unsqueeze(1) - places
        returns = rewards @ torch.where(away >= 0, self.discount ** away.clamp(min=0).to(rewards.dtype), 0.0)
        returns = returns.unflatten(0, (-1, self.fills))
        others = (returns.sum(1, keepdim=True) - returns) / (self.fills - 1)
        return (returns - others).flatten(0, 1)
