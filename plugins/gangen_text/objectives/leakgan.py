"""LeakGAN: by features that the discriminator leaks a Manager sets goals, which a Worker is rewarded for reaching."""

from collections.abc import Collection
from typing import Annotated, Any

import torch
from annotated_types import Gt
from torch import Tensor
from torch.nn.functional import cosine_similarity

from gangen import (
    Batch,
    Clock,
    Mean,
    Part,
    Players,
    Schedule,
    Stats,
    UsageError,
    all_gather,
    differences,
    evaluating,
    needs,
    one_each,
    updates,
)
from gangen_text.objectives.rollouts import RolloutGame
from gangen_text.objectives.turns import token_mean
from gangen_text.spec import TextSpec


class LeakGAN(RolloutGame):
    """Guo et al. (2018), with generator text/hierarchical and the discriminator whose features it reads.

    With F the features of the text s_t of t tokens, and a horizon of c tokens, the Manager's goal g_t is to point where
    good texts go: it maximises ``E[Q cos(F(s_(t+c)) - F(s_t), g_t)]``. Q says how good what came of it is: the value of
    s_(t+c) by rollouts, the discriminator's probability that a text is real, rescaled by rank. The Worker is rewarded
    for going there: token t earns the mean over i = 1..c of ``cos(F(s_t) - F(s_(t-i)), g_(t-i))``, its intrinsic
    reward, which its log-probability is weighted by (REINFORCE). As in the paper it has no other reward, and no
    baseline. Neither learns from the other's loss, and both from the same texts, in one turn. At the beginning of a
    text the mean is over fewer goals, and at its end what comes after is its last token.

    Of the B texts of the step's batch, of all processes together, the one with the r-th largest value at some token has
    there the rescaled one ``sigmoid(delta (0.5 - r / B))``; equal ones share the mean of their ranks. So ``policy``
    takes a batch of two rows or more, and the generator's turns refuse one that ``trainer.accumulate`` splits.

    In ``imitate`` the Worker learns by maximum likelihood and the Manager, with Q = 1, the ways of real texts. Played
    beside ``policy`` now and then, as in ``imitate: {every: 15}``, it is the paper's interleaved training. As a goal
    means nothing without features, ``discriminate`` belongs beside it from the beginning.

    ``temperature`` is the Worker's in ``policy``, above 1 to explore; rollouts, fakes and ``imitate`` have 1, and of a
    model it is a setting of sampling. ``delta`` says how far ranks are pulled apart.

    ``loss`` is the discriminator's; the generator learns from rewards.
    """

    leaks = True

    def __init__(
        self,
        spec: TextSpec,
        *,
        loss: Annotated[Any, Part("losses")] = "non_saturating",
        delta: Annotated[float, Gt(0)] = 16.0,
        temperature: Annotated[Schedule, Gt(0)] = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(spec, loss, **options)
        self.delta = delta
        self.temperature = Schedule.of(temperature)

    def check(self, players: Players, turns: Collection[str]) -> None:
        """Raises UsageError for a generator without Manager, or whose Manager reads another kind of discriminator."""
        super().check(players, turns)
        if "generator" not in players or "discriminator" not in players:
            return  # said of the turns that need them
        if not hasattr(players.generator, "take_leak"):
            raise UsageError(
                "the generator is to have a Manager that reads the discriminator's features; take generator "
                "text/hierarchical, or play text/seqgan"
            )
        if differ := differences(players.generator.leak, players.discriminator.state_dict()):
            raise UsageError(
                "the generator's Manager reads another kind of discriminator than plays here; give "
                f"players.generator.leak the use and the options of players.discriminator ({differ})"
            )

    @updates("generator")
    @needs(generator="log_prob", discriminator="forward")
    def imitate(self, players: Players, batch: Batch, clock: Clock) -> tuple[Mean, Stats]:
        """Maximum likelihood for the Worker, and for the Manager the direction that real texts take."""
        refuse_parts(clock)  # which is for policy, and not to be said at the end of pretraining
        generator, tokens = players.generator, batch["tokens"]
        self.hand_over(players)
        seen = generator.seen(tokens)
        goals, mask = generator.goals(seen[:, :-1]), self.spec.mask(tokens)
        reached = reached_goals(seen, goals, mask, generator.horizon)
        log_prob = generator.follow(tokens, goals.detach(), batch)
        figures = {"nll": token_mean(-log_prob, mask), "reached": token_mean(reached, mask)}
        return token_mean(-log_prob - reached, mask), {name: it.value.detach() for name, it in figures.items()}

    @updates("generator")
    @needs(generator=("sample", "log_prob", "rollout"), discriminator="forward")
    def policy(self, players: Players, batch: Batch, clock: Clock) -> tuple[Mean, Stats]:
        """Goals towards what good texts became, and tokens that reach goals made more likely."""
        refuse_parts(clock)
        generator, temperature = players.generator, self.temperature(clock)
        self.hand_over(players)
        with torch.no_grad():
            tokens = generator.sample(len(batch["tokens"]), batch, temperature=temperature)
            values = self.values(players, tokens, batch)
        mask, seen = self.spec.mask(tokens), generator.seen(tokens)
        goals = generator.goals(seen[:, :-1])
        reached = reached_goals(seen, goals, mask, generator.horizon)
        quality = rescaled(values, self.delta).gather(1, ends(mask, generator.horizon) - 1)
        intrinsic = intrinsic_rewards(seen, goals.detach(), generator.horizon)
        log_prob = generator.follow(tokens, goals.detach(), batch, temperature=temperature)
        return token_mean(-quality * reached - intrinsic * log_prob, mask), {
            "reward": values[:, -1].mean(),
            "intrinsic": token_mean(intrinsic, mask).value,
            "length": mask.sum(1).float().mean(),
        }

    def hand_over(self, players: Players) -> None:
        """Let the generator, and what rolls out, read the features that the discriminator has now."""
        for network in (players.generator, self.roller(players)):
            network.take_leak(players.discriminator)

    def rewards(self, players: Players, texts: Tensor, condition: Batch, rows: Tensor) -> Tensor:
        """See RolloutGame: the probability that a text is real."""
        with evaluating(players.discriminator):
            own = {name: column[rows] for name, column in condition.items()}
            return one_each(self.judge(players, own)(texts)).sigmoid()


def refuse_parts(clock: Clock) -> None:
    """Raises UsageError for a batch in micro-batches: texts are ranked among all of it."""
    if clock.accumulate > 1:
        raise UsageError(
            "text/leakgan ranks the texts of a batch, which are to be in one part; set trainer.accumulate=1, with a "
            "smaller batch_size where memory is short"
        )


def ends(mask: Tensor, horizon: int) -> Tensor:
    """How many tokens a text has when it goes on from t = 0..L - 1 by ``horizon`` or ends before: int64 ``[B, L]``.

    ``mask``, bool ``[B, L]``, says which tokens are of the text.
    """
    positions = torch.arange(mask.shape[1], device=mask.device)
    return (positions + horizon).minimum(mask.sum(1, keepdim=True))


def reached_goals(seen: Tensor, goals: Tensor, mask: Tensor, horizon: int) -> Tensor:
    """cos(F(s_(t+c)) - F(s_t), g_t) for t = 0..L - 1, float ``[B, L]``.

    ``seen`` are features of beginnings, float ``[B, L + 1, d]``, and ``goals`` float ``[B, L, d]``. Meaningful where
    ``mask``.
    """
    later = ends(mask, horizon).unsqueeze(-1).expand(-1, -1, seen.shape[2])
    return cosine_similarity(seen.gather(1, later) - seen[:, :-1], goals, dim=-1)


def intrinsic_rewards(seen: Tensor, goals: Tensor, horizon: int) -> Tensor:
    """For each token the mean cosine of where the text went since each of the last ``horizon`` goals, with that goal.

    float ``[B, L]``, of ``seen`` float ``[B, L + 1, d]`` and ``goals`` float ``[B, L, d]``.
    """
    length = goals.shape[1]
    total = torch.zeros_like(goals[..., 0])
    for back in range(1, min(horizon, length) + 1):
        total[:, back - 1 :] += cosine_similarity(
            seen[:, back:] - seen[:, :-back], goals[:, : length + 1 - back], dim=-1
        )
    return total / torch.arange(1, length + 1, device=goals.device).clamp(max=horizon)


def rescaled(values: Tensor, delta: float) -> Tensor:
    """The ranks of values, float ``[B, L]``, among those of all processes in their column, as numbers from 0 to 1.

    ``sigmoid(delta (0.5 - rank / B))``, B being the rows of all processes, where the largest value has rank 1; equal
    values have the mean of their ranks. Raises UsageError for B = 1: alone a value has no rank.
    """
    everyone = all_gather(values).flatten(0, 1)
    if len(everyone) < 2:
        raise UsageError("text/leakgan ranks a text among others: a batch of all processes needs 2; raise batch_size")
    ascending, columns = everyone.t().contiguous().sort(dim=1).values, values.t().contiguous()
    fewer, as_many = (torch.searchsorted(ascending, columns, right=right) for right in (False, True))
    rank = len(everyone) + 0.5 - (fewer + as_many).t().to(values.dtype) / 2
    return (delta * (0.5 - rank / len(everyone))).sigmoid()
