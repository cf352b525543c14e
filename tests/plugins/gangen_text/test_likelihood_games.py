"""Games that weigh likelihoods instead of fooling: gradients are those of real texts, ratios are exact."""

import copy
import itertools
import math

import pytest
import torch
from accelerate import Accelerator
from rich.console import Console
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from gangen import noise
from gangen.components.registry import Registry
from gangen.contracts import Clock
from gangen.errors import RecipeError, UsageError
from gangen.losses import Hinge, NonSaturating
from gangen.networks import Players
from gangen.recipe.load import load_recipe
from gangen.run_directory import RunDirectory
from gangen.training import checkpoint
from gangen.training.assemble import assemble
from gangen_text.networks.lstm import LSTMGenerator
from gangen_text.objectives.coop import Coop
from gangen_text.objectives.cot import CoT
from gangen_text.objectives.ddo import DDO
from gangen_text.objectives.jsdgan import JSDGAN
from gangen_text.objectives.maligan import MaliGAN
from gangen_text.spec import TextSpec

FIXED = TextSpec(vocab_size=3, max_length=2, start=0)
ENDING = TextSpec(vocab_size=7, max_length=6, start=0, end=1, pad=2, labels=("low", "high"))
CLOCK = Clock("adversarial", 3, 10)
TEXTS = torch.tensor(list(itertools.product(range(3), repeat=2)))
REAL = torch.tensor([0.05, 0.2, 0.1, 0.05, 0.3, 0.05, 0.05, 0.1, 0.1], dtype=torch.float64)


def network(spec=FIXED, seed=0, **options):
    torch.manual_seed(seed)
    return LSTMGenerator(spec, embedding_dim=6, hidden_dim=8, init_std=0.7, **options).double()


class Perfect(nn.Module):
    """The best discriminator of REAL and what a generator of FIXED writes."""

    def __init__(self, generator):
        super().__init__()
        with torch.no_grad():
            self.table = (REAL.log() - generator.log_prob(TEXTS).sum(1)).view(3, 3)

    def forward(self, tokens, condition=None):
        return self.table[tokens[:, 0], tokens[:, 1]]


@pytest.fixture
def perfect():
    generator = network()
    return Players({"generator": generator, "discriminator": Perfect(generator)})


def batch(rows):
    return {"tokens": torch.zeros(rows, 2, dtype=torch.long)}


def gradient(loss, net):
    return torch.cat([it.flatten() for it in torch.autograd.grad(loss, list(net.parameters()), allow_unused=False)])


def of_likelihood(net):
    """The gradient of maximum likelihood on REAL, by enumeration."""
    return gradient(-(REAL @ net.log_prob(TEXTS).sum(1)) / 2, net)


@pytest.mark.parametrize("baseline", [0.0, 1.0])
def test_with_a_perfect_discriminator_maligan_follows_the_likelihood_of_real_texts(baseline, perfect):
    with noise.shared(1):
        loss, figures = MaliGAN(FIXED, loss=NonSaturating(), baseline=baseline).policy(perfect, batch(40_000), CLOCK)
    expected = of_likelihood(perfect.generator)
    assert (gradient(loss.value, perfect.generator) - expected).norm() < 0.05 * expected.norm()
    law = (REAL / perfect.discriminator.table.flatten().exp()).double()
    effective = 1 / (REAL.square() / law).sum()
    assert figures["effective"].item() == pytest.approx(effective.item(), rel=0.05)


def test_the_baseline_of_maligan_takes_variance_away(perfect):
    def spread(baseline):
        objective, found = MaliGAN(FIXED, loss=NonSaturating(), baseline=baseline), []
        for seed in range(50):
            with noise.shared(seed):
                found.append(gradient(objective.policy(perfect, batch(50), CLOCK)[0].value, perfect.generator))
        return torch.stack(found).var(0).sum()

    assert spread(1.0) < spread(0.0)


@pytest.mark.parametrize("by", ["choice", "weights"])
def test_with_a_perfect_discriminator_many_candidates_are_real_texts(by, perfect):
    objective = Coop(FIXED, loss=NonSaturating(), candidates=200, by=by, real=0.0)
    with noise.shared(1):
        loss, _ = objective.cooperate(perfect, batch(1000 if by == "choice" else 200), CLOCK)
    expected = of_likelihood(perfect.generator)
    assert (gradient(loss, perfect.generator) - expected).norm() < 0.1 * expected.norm()


def test_candidates_are_weighed_among_those_of_their_row_and_mixed_with_real_texts():
    class Lengths(nn.Module):
        def forward(self, tokens, condition):
            assert torch.equal(condition["label"], torch.tensor([1, 1, 1, 0, 0, 0]))
            return ENDING.mask(tokens).sum(1).double()

    players = Players({"generator": network(ENDING), "discriminator": Lengths()})
    rows = {"tokens": torch.tensor([[3, 4, 1, 2, 2, 2], [5, 6, 3, 4, 5, 1]]), "label": torch.tensor([1, 0])}
    labels = torch.tensor([1, 1, 1, 0, 0, 0])
    with noise.shared(5):
        loss, _ = Coop(ENDING, loss=NonSaturating(), candidates=3, real=0.25).cooperate(players, rows, CLOCK)
    with noise.shared(5):
        own = players.generator.sample(6, {"label": labels})
    likelihood, length = players.generator.log_prob(own, {"label": labels}).sum(1), ENDING.mask(own).sum(1).double()
    weights = torch.cat([length[:3].softmax(0), length[3:].softmax(0)])
    chosen = -(weights * likelihood).sum() / (weights * length).sum()
    real = -players.generator.log_prob(rows["tokens"], rows).sum() / 9
    assert loss.item() == pytest.approx((0.75 * chosen + 0.25 * real).item())


def test_the_mediator_learns_real_and_generated_texts_alike():
    players = Players({"generator": network(), "mediator": network(seed=1)})
    real = torch.tensor([[1, 2], [0, 1]])
    with noise.shared(2):
        loss, figures = CoT(FIXED).mediate(players, {"tokens": real}, CLOCK)
    with noise.shared(2):
        fake = players.generator.sample(2)
    both = torch.cat([real, fake])
    assert loss.value.item() == pytest.approx(-players.mediator.log_prob(both).mean().item())
    assert figures["fake"].item() == pytest.approx(-players.mediator.log_prob(fake).mean().item())


def test_the_mediator_counts_every_token_alike_where_texts_differ_in_length():
    players = Players({"generator": network(ENDING), "mediator": network(ENDING, seed=1)})
    real = torch.full((4, ENDING.max_length), ENDING.pad)
    real[:, 0] = ENDING.end
    rows = {"tokens": real, "label": torch.zeros(4, dtype=torch.long)}
    with noise.shared(2):
        loss, _ = CoT(ENDING).mediate(players, rows, CLOCK)
    with noise.shared(2):
        fake = players.generator.sample(4, rows)
    assert ENDING.mask(fake).sum() > 4
    likelihood = sum(players.mediator.log_prob(texts, rows).sum() for texts in (real, fake))
    assert loss.value.item() == pytest.approx(-(likelihood / (4 + ENDING.mask(fake).sum())).item())


def test_the_generator_follows_the_mediator_token_by_token():
    players = Players({"generator": network(ENDING), "mediator": network(ENDING, seed=1, dropout=0.5)})
    rows = {"tokens": torch.zeros(4, 6, dtype=torch.long), "label": torch.tensor([1, 0, 1, 0])}
    with noise.shared(2):
        loss, _ = CoT(ENDING).cooperate(players, rows, CLOCK)
    with noise.shared(2):
        texts = players.generator.sample(4, rows)
    players.mediator.eval()
    divergences = []
    for row, label in zip(texts, rows["label"], strict=True):
        for place in range(int(ENDING.mask(row[None]).sum())):
            ways = row.repeat(5, 1)
            ways[:, place] = torch.tensor([1, 3, 4, 5, 6])  # what may be written: neither start nor padding
            own, mixture = (
                net.log_prob(ways, {"label": label.expand(5)})[:, place]
                for net in (players.generator, players.mediator)
            )
            divergences.append((own.exp() * (own - mixture)).sum())
    assert loss.item() == pytest.approx(torch.stack(divergences).mean().item())
    assert gradient(loss, players.generator).isfinite().all()


def test_real_texts_alone_have_the_direction_of_the_whole_jensen_shannon_divergence():
    generator, real = network(), torch.tensor([1, 4, 5, 6])  # of all texts, by number
    data = torch.zeros(9, dtype=torch.float64).index_fill(0, real, 0.25)
    p = generator.log_prob(TEXTS).sum(1).exp()
    mixture = (data + p) / 2
    divergence = (p * (p / mixture).log()).sum() / 2 + (0.25 * (0.25 / mixture[real]).log()).sum() / 2
    expected = gradient(divergence, generator)
    loss, _ = JSDGAN(FIXED, texts=4).generate(Players({"generator": generator}), {"tokens": TEXTS[real]}, CLOCK)
    found = gradient(loss.value, generator)
    assert torch.allclose(found / found.norm(), expected / expected.norm())


def test_the_generator_is_its_own_discriminator_and_knows_nothing_at_first():
    generator = network(dropout=0.5)
    players = Players({"generator": generator, "reference": copy.deepcopy(generator)})
    real = {"tokens": torch.tensor([[1, 2], [0, 1]])}
    loss, figures = DDO(FIXED).discriminate(players, real, CLOCK)
    assert loss.item() == pytest.approx(2 * math.log(2))  # whatever dropout drew
    assert figures["real"].item() == figures["fake"].item() == 0.0


def test_the_likelihood_ratio_is_the_logit():
    players = Players({"generator": network(), "reference": network(seed=1)})
    real = torch.tensor([[1, 2], [0, 1], [2, 2]])
    with noise.shared(4):
        loss, _ = DDO(FIXED, alpha=0.5, beta=0.2).discriminate(players, {"tokens": real}, CLOCK)
    with noise.shared(4):
        fake = players.reference.sample(3)

    def logits(tokens):
        return 0.2 * (players.generator.log_prob(tokens) - players.reference.log_prob(tokens)).sum(1)

    expected = binary_cross_entropy_with_logits(logits(real), torch.ones(3).double())
    expected = expected + 0.5 * binary_cross_entropy_with_logits(logits(fake), torch.zeros(3).double())
    assert loss.item() == pytest.approx(expected.item())
    assert torch.allclose(gradient(loss, players.generator), gradient(expected, players.generator))


@pytest.mark.parametrize("game", [Coop, MaliGAN])
def test_a_loss_whose_logits_are_no_log_ratios_is_refused(game):
    said = r"a discriminator does not learn by (Hinge|loss 'gangen/hinge'); losses non_saturating"
    with pytest.raises(UsageError, match=said):
        game(FIXED, loss=Hinge())


RECIPE = """
data: {use: text/oracle, vocab_size: 12, length: 4, train_size: 64, heldout_size: 8}
players:
  generator: {use: text/lstm, embedding_dim: 4, hidden_dim: 6, optimizer: {lr: 0.05}}
  reference: REFERENCE
objective: text/ddo
phases:
  first: {steps: 1, turns: {imitate: 1}}
  second: {steps: 6, turns: {discriminate: 1}}
trainer: {batch_size: 8, threads: 1}
"""


def trainer_of(folder, reference):
    path, registry = folder / "ddo.yaml", Registry.discover()
    path.write_text(RECIPE.replace("REFERENCE", reference))
    recipe = load_recipe(path, [f"run={folder / 'run'}"], registry)
    return assemble(recipe, registry, Accelerator(cpu=True), RunDirectory(recipe.run), Console(quiet=True))


def play(trainer, steps):
    for _ in range(steps):
        trainer.play_step(trainer.phases[trainer.state.phase])
    return {name: torch.cat([it.flatten() for it in net.net.parameters()]) for name, net in trainer.players.items()}


def test_the_reference_goes_on_from_a_checkpoint_as_it_was(tmp_path):
    reference = "{kind: generators, copy_of: {player: generator, every: 4}}"
    trainer = trainer_of(tmp_path, reference)
    before = play(trainer, 3)
    assert not torch.equal(before["generator"], before["reference"])
    half = checkpoint.save(trainer, tmp_path / "half", keep=1)
    whole = play(trainer, 4)
    assert not torch.equal(whole["reference"], before["reference"])  # a second round
    resumed = trainer_of(tmp_path, reference)
    checkpoint.restore(resumed, half)
    assert all(torch.equal(tensor, whole[name]) for name, tensor in play(resumed, 4).items())


def test_a_reference_that_is_no_copy_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"players.reference=\{kind: generators, copy_of: generator\}"):
        trainer_of(tmp_path, "{kind: generators, use: text/lstm, embedding_dim: 4, hidden_dim: 6}")
