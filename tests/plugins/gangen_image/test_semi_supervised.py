"""Classification with few labels: the K+1 class game, its data, and its figure."""

import json
from contextlib import nullcontext

import pytest
import torch

from gangen import cli, noise
from gangen.contracts import Clock
from gangen.errors import DataError, UsageError
from gangen.metrics.context import MetricContext
from gangen.metrics.figures import Figure
from gangen.networks import Players
from gangen.optimizers import Learning, adam
from gangen.splits import TensorSplit
from gangen.training.players import Player, learning
from gangen_image.codec import ImageCodec
from gangen_image.data.few_labels import FewLabels
from gangen_image.data.points import PointCodec
from gangen_image.metrics.modes import Modes, good_per_mode
from gangen_image.networks.mlp import MLPDiscriminator, MLPGenerator
from gangen_image.objectives.gan import feature_distance
from gangen_image.objectives.semi_supervised import Accuracy, SemiSupervised
from gangen_image.spec import ImageSpec, PointSpec

SPEC = ImageSpec(1, 4, ("left", "right"))
CLOCK = Clock("adversarial", 0, 10)


class Bars:
    """Images whose left or right half is bright, with noise."""

    codec_class = ImageCodec

    def __init__(self, n=40):
        generator = torch.Generator().manual_seed(0)
        label = torch.arange(n) % 2
        image = torch.randint(80, (n, 1, 4, 4), generator=generator)
        for row, side in enumerate(label.tolist()):
            image[row, :, :, 2 * side : 2 * side + 2] += 150
        self.codec = ImageCodec(SPEC)
        self.train = self.heldout = TensorSplit(image=image.to(torch.uint8), label=label)


def game():
    torch.manual_seed(0)
    nets = {
        "generator": MLPGenerator(SPEC, latent_dim=2, hidden_dim=8, condition="none"),
        "discriminator": MLPDiscriminator(SPEC, hidden_dim=8, condition="classifier"),
        "supervised": MLPDiscriminator(SPEC, hidden_dim=8, condition="classifier"),
    }
    return Players(nets)


def batch_of(data, size=8):
    return data.train.batch(0, range(size), size, seed=0, device="cpu")


def test_few_labels_are_a_fixed_number_of_each_and_the_rest_has_none():
    source = Bars()
    data = FewLabels(of=source, per_label=3)
    assert data.labelled.rows()["label"].tolist() == [0] * 3 + [1] * 3
    batch = batch_of(data)
    assert {name: len(column) for name, column in batch.items()} == {"image": 8, "labelled_image": 8, "label": 8}
    for image, label in zip(batch["labelled_image"], batch["label"], strict=True):
        row = (source.train.rows()["image"] == image).flatten(1).all(1).int().argmax()
        assert source.train.rows()["label"][row] == label
    assert data.heldout is source.heldout


def test_data_that_cannot_give_the_labels_are_refused():
    with pytest.raises(DataError, match="label 'left' has 20 images; lower per_label"):
        FewLabels(of=Bars(), per_label=21)
    unlabelled = Bars()
    unlabelled.train = TensorSplit(image=unlabelled.train.rows()["image"])
    with pytest.raises(DataError, match="needs labelled images"):
        FewLabels(of=unlabelled)
    texts = Bars()
    texts.train = TensorSplit(tokens=torch.zeros(2, 3), label=torch.zeros(2))
    with pytest.raises(DataError, match="needs labelled images"):
        FewLabels(of=texts)


@pytest.mark.parametrize("context", [nullcontext(), torch.autocast("cpu", torch.bfloat16)], ids=["fp32", "bf16"])
def test_the_discriminator_minimises_the_cross_entropy_of_one_class_more(context):
    players, batch = game(), batch_of(FewLabels(of=Bars(), per_label=2))
    objective = SemiSupervised(SPEC, unsupervised=0.7)
    with noise.shared(1), context:
        loss, _ = objective.discriminate(players, batch, CLOCK)
    with noise.shared(1), torch.no_grad():
        with context:
            rows = batch["labelled_image"], batch["image"]
            images = *(SPEC.prepare(row) for row in rows), players.generator.sample(8, {})
            labelled, real, fake = (players.discriminator.classify(image).float() for image in images)

        def log_probabilities(logits):
            """Of two classes and of fakes, whose logit is 0."""
            return torch.cat([logits, torch.zeros(len(logits), 1)], dim=1).log_softmax(1)

        real = 1 - log_probabilities(real)[:, 2].exp()
        expected = -labelled.log_softmax(1)[range(8), batch["label"]].mean() - 0.7 * (
            real.log().mean() + log_probabilities(fake)[:, 2].mean()
        )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_generator_matches_mean_features_and_reaches_no_weight_of_the_discriminator():
    players, batch = game(), batch_of(FewLabels(of=Bars(), per_label=2))
    everybody = {name: Player(name, net, Learning(adam)) for name, net in players.items()}
    with learning(everybody, ["generator"]), noise.shared(1):
        loss, _ = SemiSupervised(SPEC).generate(players, batch, CLOCK)
        loss.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in players.generator.parameters())
    assert all(parameter.grad is None for parameter in players.discriminator.parameters())
    with noise.shared(1), torch.no_grad():
        fake = players.discriminator.features(players.generator.sample(8, {}))
        real = players.discriminator.features(SPEC.prepare(batch["image"]))
    assert loss.item() == pytest.approx(feature_distance(real, fake).item())


def test_data_without_few_labels_are_refused():
    with pytest.raises(UsageError, match="needs data of image/few_labels"):
        SemiSupervised(SPEC).supervise(game(), batch_of(Bars()), CLOCK)


def test_accuracy_is_told_of_every_player_that_classifies():
    players, data = game(), Bars()
    with torch.no_grad():
        for parameter in players.supervised.parameters():
            parameter.zero_()
        players.supervised.head.classifier.bias.copy_(torch.tensor([0.0, 1.0]))  # says "right" of everything
    figures = Accuracy(batch_size=7)(MetricContext(players, data, device=torch.device("cpu")))
    guess = players.discriminator.classify(SPEC.prepare(data.heldout.rows()["image"])).argmax(1)
    right = (guess == data.heldout.rows()["label"]).float().mean().item()
    assert figures == {
        "accuracy": Figure(pytest.approx(right), good="high"),
        "accuracy_supervised": Figure(0.5, good="high"),
    }
    players = Players({"generator": players.generator})
    with pytest.raises(UsageError, match="needs a discriminator with classify"):
        Accuracy().check(MetricContext(players, data, device=torch.device("cpu")))


def test_accuracy_is_told_of_networks_that_take_rows_in_groups():
    net = MLPDiscriminator(SPEC, condition="classifier", hidden_dim=4, pac=3)
    data = Bars()
    images, labels = data.heldout.rows()["image"], data.heldout.rows()["label"]
    rest = -len(images) % 3
    assert rest
    guess = net.classify(SPEC.prepare(torch.cat([images, images[:rest]]))).argmax(1)[: len(images)]
    found = Accuracy(batch_size=7)(MetricContext(Players({"judge": net}), data, device=torch.device("cpu")))
    assert found["accuracy_judge"].value == (guess == labels).double().mean().item()


def test_both_classifiers_learn_from_a_recipe(tmp_path):
    recipe = tmp_path / "few.yaml"
    recipe.write_text(f"""
run: {tmp_path / "run"}
data: {{use: image/few_labels, of: {{use: image/digits, size: 28}}, per_label: 5}}
players:
  generator: {{use: image/mlp, hidden_dim: 16, condition: none}}
  discriminator: {{use: image/mlp, hidden_dim: 16, condition: classifier}}
  supervised: {{kind: discriminators, use: image/mlp, hidden_dim: 16, condition: classifier}}
objective: image/semi_supervised
phases: {{adversarial: {{steps: 30, turns: {{discriminate: 1, generate: 1, supervise: 1}}}}}}
trainer: {{batch_size: 50}}
every: {{sample: 0, evaluate: 30, checkpoint: 0}}
metrics: [image/accuracy]
""")
    assert cli.main([str(recipe)]) == 0
    last = json.loads((tmp_path / "run/metrics.jsonl").read_text().splitlines()[-1])
    assert min(last[name]["value"] for name in ("accuracy", "accuracy_supervised")) > 0.3


def test_modes_are_counted_by_their_good_samples():
    modes = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    samples = torch.tensor([[0.1, 0.0], [0.0, -0.2], [0.31, 0.0], [4.0, 0.3], [2.0, 2.0]])
    assert good_per_mode(samples, modes, 0.3 + 1e-6).tolist() == [2, 1, 0]


def test_the_figures_of_modes():
    class Fixed(torch.nn.Module):
        def sample(self, n, condition=None):
            return torch.tensor([[0.0, 0.0]] * 3 + [[1.0, 0.0]] + [[9.0, 9.0]]).repeat(n // 5, 1)

    class Pair:
        codec_class, modes, sd = None, torch.tensor([[0.0, 0.0], [1.0, 0.0]]), 0.1
        heldout, codec = TensorSplit(image=torch.zeros(4, 2)), PointCodec(PointSpec(), 2.0)

    players = Players({"generator": Fixed()})
    figures = Modes(samples=100)(MetricContext(players, Pair(), device=torch.device("cpu")))
    expected = 0.75 * torch.tensor(1.5).log() + 0.25 * torch.tensor(0.5).log()
    assert {name: (figure.value, figure.good) for name, figure in figures.items()} == {
        "modes": (2, "high"),
        "good": (0.8, "high"),
        "kl": (pytest.approx(expected.item()), "low"),
    }
    with pytest.raises(UsageError, match="needs data with known modes"):
        Modes().check(MetricContext(players, Bars(), device=torch.device("cpu")))
