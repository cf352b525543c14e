"""The game of two, with networks and data that no plugin brings."""

import pytest
import torch
from torch import nn

from gangen import AdversarialGame, Clock, Mean, NonSaturating, Players, PluginError, UsageError, noise
from gangen.losses import RelativisticAverage, RelativisticPaired
from gangen.penalties import R1, R2, GradientPenalty, LeCam

CLOCK = Clock("adversarial", 3, 10)
BATCH = {"row": torch.linspace(-1, 1, 12).reshape(6, 2), "kind": torch.arange(6) % 2}


class Maker(nn.Linear):
    def __init__(self):
        super().__init__(3, 2)

    def sample(self, n, condition):
        return self(noise.normal(n, 3)) + condition["kind"][:, None]


class Critic(nn.Module):
    """Counts its passes; drops out where asked."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Dropout(dropout), nn.Linear(5, 1))
        self.rows = []

    def forward(self, rows, condition):
        self.rows.append(rows.detach())
        return self.net(torch.cat([rows, condition["kind"][:, None].float()], dim=1)).squeeze(1)


class Halves:
    """A description of data that says how rows are prepared."""

    def prepare(self, rows):
        return rows / 2


def players(**options):
    torch.manual_seed(0)
    return Players({"generator": Maker(), "discriminator": Critic(**options)})


def play(game, turn, nets, seed=1):
    with noise.shared(seed):
        return getattr(game, turn)(nets, BATCH, CLOCK)


def test_the_first_column_is_real_prepared_and_the_batch_is_the_condition_of_both():
    nets, game = players(), AdversarialGame(Halves(), loss=NonSaturating())
    loss, stats = play(game, "discriminate", nets)
    with noise.shared(1), torch.no_grad():
        real = nets.discriminator(BATCH["row"] / 2, BATCH)
        fake = nets.discriminator(nets.generator.sample(6, BATCH), BATCH)
    assert loss.item() == pytest.approx(NonSaturating().discriminator(real, fake).item())
    expected = {"accuracy": (sum(real > 0) + sum(fake < 0)) / 12, "real": real.mean(), "fake": fake.mean()}
    assert stats.keys() == expected.keys()
    assert all(stats[name].item() == pytest.approx(expected[name].item()) for name in stats)
    loss.backward()
    assert all(parameter.grad is None for parameter in nets.generator.parameters())


@pytest.mark.parametrize(("loss", "passes"), [(NonSaturating(), 1), (RelativisticAverage(), 2)])
def test_the_generator_looks_at_real_rows_only_where_the_loss_does(loss, passes):
    nets = players()
    found, _ = play(AdversarialGame(None, loss=loss), "generate", nets)
    assert len(nets.discriminator.rows) == passes
    with noise.shared(1):
        fake = nets.discriminator(nets.generator.sample(6, BATCH), BATCH)
    assert found.item() == pytest.approx(loss.generator(nets.discriminator(BATCH["row"], BATCH), fake).item())


class Averaging(Critic):
    def forward(self, rows, condition):
        return super().forward(rows, condition).mean(0, keepdim=True)


class InThrees(Critic):
    batch_multiple = 3

    def forward(self, rows, condition):
        return super().forward(rows, condition).unflatten(0, (-1, 3)).mean(1)


class InColumns(Critic):
    def forward(self, rows, condition):
        return super().forward(rows, condition)[:, None]


@pytest.mark.parametrize("turn", ["discriminate", "generate", "penalize"])
def test_logits_that_are_not_one_for_each_row_are_refused(turn):
    nets = Players({"generator": Maker(), "discriminator": Averaging()})
    with pytest.raises(PluginError, match=r"logits of Averaging are to be \[6\], or \[6, parts\], got \[1\]"):
        play(AdversarialGame(None, loss=NonSaturating(), lazy_penalties=[R1()]), turn, nets)
    nets = Players({"generator": Maker(), "discriminator": InThrees()})
    for multiple in (3, 6):  # as where it looks at two packs together
        nets.discriminator.batch_multiple = multiple
        play(AdversarialGame(None, loss=NonSaturating(), lazy_penalties=[R1()]), turn, nets)
    nets.discriminator.batch_multiple = 2
    with pytest.raises(PluginError, match=r"got \[2\]"):
        play(AdversarialGame(None, loss=NonSaturating(), lazy_penalties=[R1()]), turn, nets)


@pytest.mark.parametrize("loss", [NonSaturating(), RelativisticAverage(), RelativisticPaired()])
@pytest.mark.parametrize("turn", ["discriminate", "generate"])
def test_rows_of_one_part_are_rows(turn, loss):
    found = []
    for critic in (Critic, InColumns):
        torch.manual_seed(0)
        nets = Players({"generator": Maker(), "discriminator": critic()})
        found.append(play(AdversarialGame(None, loss=loss, penalties=[R1()]), turn, nets)[0].item())
    assert found[0] == found[1]


def gradients(nets, *losses):
    return torch.autograd.grad(sum(losses), list(nets.discriminator.parameters()))


def test_loss_and_penalties_share_one_pass_and_add_up():
    nets, penalties = players(), [R1(weight=2.0), R2(weight=3.0), LeCam(weight=0.3)]
    loss, stats = play(AdversarialGame(None, loss=NonSaturating(), penalties=penalties), "discriminate", nets)
    assert len(nets.discriminator.rows) == 2
    plain, _ = play(AdversarialGame(None, loss=NonSaturating()), "discriminate", nets)
    with noise.shared(1), torch.no_grad():
        fake = nets.generator.sample(6, BATCH)
    fresh = [R1(weight=2.0), R2(weight=3.0), LeCam(weight=0.3)]
    apart = [penalty(lambda rows: nets.discriminator(rows, BATCH), BATCH["row"], fake, CLOCK) for penalty in fresh]
    for name, size in zip(("R1", "R2", "LeCam"), apart, strict=True):
        assert stats[name].item() == pytest.approx(size.item(), rel=1e-5)
    for found, expected in zip(gradients(nets, loss), gradients(nets, plain, *apart), strict=True):
        assert torch.allclose(found, expected, atol=1e-6)


def test_in_that_pass_dropout_is_drawn_once():
    nets, rows = players(dropout=0.5), BATCH["row"].clone().requires_grad_()
    torch.manual_seed(5)
    _, stats = play(AdversarialGame(None, loss=NonSaturating(), penalties=[R1(weight=2.0)]), "discriminate", nets)
    torch.manual_seed(5)
    logits = nets.discriminator(rows, BATCH)
    (slope,) = torch.autograd.grad(logits.sum(), rows)
    assert stats["real"].item() == pytest.approx(logits.mean().item())
    assert stats["R1"].item() == pytest.approx(slope.square().sum().item() / 6)


def test_under_mixed_precision_penalties_ask_again_in_float32():
    nets, game = players(), AdversarialGame(None, loss=NonSaturating(), penalties=[R1()])
    said = []
    nets.discriminator.register_forward_hook(lambda net, rows, logits: said.append(logits.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        play(game, "discriminate", nets)
    assert said == [torch.bfloat16, torch.bfloat16, torch.float32]


def test_rows_of_the_batch_stay_as_they_are():
    play(AdversarialGame(None, loss=NonSaturating(), penalties=[R1()]), "discriminate", players())
    assert not BATCH["row"].requires_grad


def test_lazy_penalties_are_the_whole_loss_of_their_turn():
    nets = players()
    game = AdversarialGame(None, loss=NonSaturating(), lazy_penalties=[GradientPenalty(), R1()])
    loss, stats = play(game, "penalize", nets)
    assert loss.item() == pytest.approx((stats["GradientPenalty"] + stats["R1"]).item())
    assert "R1" not in play(game, "discriminate", nets)[1]
    with pytest.raises(UsageError, match="give the objective lazy_penalties"):
        AdversarialGame(None, loss=NonSaturating()).check(nets, {"discriminate", "penalize"})


def test_a_game_of_ones_own_replaces_how_rows_are_judged():
    class Twice(AdversarialGame):
        def judge(self, players, condition):
            return lambda rows: 2 * players.discriminator(rows, condition)

    nets = players()
    plain = play(AdversarialGame(None, loss=NonSaturating(), penalties=[R1()]), "discriminate", nets)[1]
    twice = play(Twice(None, loss=NonSaturating(), penalties=[R1()]), "discriminate", nets)[1]
    assert twice["real"].item() == pytest.approx(2 * plain["real"].item())
    assert twice["R1"].item() == pytest.approx(4 * plain["R1"].item())


class Said(NonSaturating):
    """A loss of which one half says something else."""

    def __init__(self, half, said):
        super().__init__()
        setattr(self, half, lambda real, fake: said(fake))


class SaidPenalty(nn.Module):
    def __init__(self, said):
        super().__init__()
        self.said = said

    def forward(self, judge, real, fake, clock):
        return self.said(judge(real))


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (lambda logits: logits, r"a tensor of shape \[6\]"),
        (lambda logits: logits.mean().item(), "a float"),
        (lambda logits: None, "a NoneType"),
        (lambda logits: Mean(logits.sum(), torch.tensor(6.0)), "a Mean"),
    ],
    ids=["each row", "number", "nothing", "mean"],
)
@pytest.mark.parametrize(
    ("half", "turn"), [("discriminator", "discriminate"), ("generator", "generate"), ("penalty", "discriminate")]
)
def test_what_is_no_scalar_is_blamed_on_the_part_that_said_it(half, turn, said, what):
    part = {"penalties": [SaidPenalty(said)]} if half == "penalty" else {"loss": Said(half, said)}
    with pytest.raises(PluginError, match=rf"^Said(Penalty)? must return a scalar tensor, such as a mean, got {what}$"):
        play(AdversarialGame(None, **part), turn, players())
