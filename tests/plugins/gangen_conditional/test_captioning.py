"""The game of captioning: what counts as a fake, by formula, and how it is sampled from."""

from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch.nn.functional import softplus

import gangen
from gangen import cli
from gangen.contracts import Clock
from gangen.losses import NonSaturating, RelativisticPaired
from gangen_conditional.data.scenes import paint
from gangen_conditional.objectives.captioning import Captioning
from gangen_text import SeqGAN


class Judge(torch.nn.Module):
    """Logits that tell (text, picture) pairs apart: the first token plus 10 times the picture's number."""

    def __init__(self):
        super().__init__()
        self.looked = 0

    def encoder(self, rows):
        self.looked += len(rows)
        return 10.0 * rows

    def judge(self, tokens, memory, rows=None):
        return tokens[:, 0] + (memory if rows is None else memory[rows])

    def forward(self, tokens, condition):
        return self.judge(tokens, self.encoder(condition["input"]))


BATCH = {"tokens": torch.tensor([[1], [2], [3]]), "input": torch.tensor([1, 2, 3])}
FAKES = torch.tensor([[4], [5], [6]])
REAL, FAKE, WRONG = torch.tensor([11.0, 22, 33]), torch.tensor([14.0, 25, 36]), torch.tensor([31.0, 12, 23])


def told_apart(**options):
    players = SimpleNamespace(discriminator=Judge(), generator=SimpleNamespace(sample=lambda n, condition: FAKES))
    return Captioning(None, **options).discriminate(players, BATCH, Clock("adversarial", 0, 1))


def test_a_real_caption_of_another_picture_is_half_of_what_is_fake():
    loss, stats = told_apart(loss=NonSaturating())
    expected = softplus(-REAL).mean() + (softplus(FAKE).mean() + softplus(WRONG).mean()) / 2
    assert torch.allclose(loss, expected)
    assert [stats[name].item() for name in ("real", "fake", "wrong")] == [22, 25, 22]
    loss, stats = told_apart(loss=NonSaturating(), matching=False)
    assert torch.allclose(loss, softplus(-REAL).mean() + softplus(FAKE).mean())
    assert "wrong" not in stats


def test_losses_of_pairs_compare_a_caption_with_its_own_fake_and_its_own_wrong_picture():
    loss, _ = told_apart(loss=RelativisticPaired())
    assert torch.allclose(loss, (softplus(FAKE - REAL).mean() + softplus(WRONG - REAL).mean()) / 2)


def test_rollouts_are_judged_with_one_look_at_each_picture():
    rolled = [(1, torch.tensor([[4, 1], [6, 1], [5, 1], [7, 1], [6, 1], [8, 1]]))]
    generator = SimpleNamespace(rollout=lambda *arguments, count, stride: rolled)
    players = SimpleNamespace(discriminator=Judge(), generator=generator)
    tokens = torch.tensor([[1, 1], [2, 1], [3, 1]])
    found = {}
    for game in (Captioning, SeqGAN):
        players.discriminator.looked = 0
        made = game(None, loss=NonSaturating(), rollouts=2, reward="logit")
        found[game] = made.values(players, tokens, {"input": BATCH["input"]}), players.discriminator.looked
    assert found[Captioning][0].tolist() == [[15, 11], [26, 22], [37, 33]]
    assert torch.equal(found[Captioning][0], found[SeqGAN][0])
    assert found[Captioning][1] == 3 and found[SeqGAN][1] == 9


RECIPE = """
run: {run}
data: {{use: conditional/shapes, to: text, scenes: 60, heldout: 12, objects: 1}}
players:
  generator: {{use: conditional/captioner, encoder: {{use: conditional/places, dim: 4, width: 2}}, hidden_dim: 4}}
objective: conditional/captioning
phases: {{imitation: {{steps: 2, turns: {{imitate: 1}}}}}}
trainer: {{batch_size: 8, threads: 1}}
every: {{sample: 2}}
metrics: [conditional/captions]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captioning")
    (folder / "recipe.yaml").write_text(RECIPE.format(run=folder / "run"))
    assert cli.main([str(folder / "recipe.yaml")]) == 0
    picture = paint(torch.tensor([[[0, 0, 1, 16, 16]]]), 32)[0]
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / "scene.png")
    return folder


def test_captions_are_printed(run, capsys):
    assert cli.main(["sample", str(run / "scene.png"), "-n", "3", "--seed", "1", "--run", str(run / "run")]) == 0
    printed = capsys.readouterr().out.splitlines()
    model, picture = gangen.load(run / "run"), Image.open(run / "scene.png")
    assert len(printed) == 3 and model.sample(picture, n=3, seed=1) == printed
    both = model.sample([picture, str(run / "scene.png")], n=3, seed=1)
    assert len(both) == 6 and both[:3] == printed


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a small red circle", "there is no picture 'a small red circle': this model takes an image"),
        ("recipe.yaml", "recipe.yaml cannot be read (no picture): this model takes an image, or the path of one"),
    ],
)
def test_what_is_no_picture_is_refused(run, prompt, words, capsys, monkeypatch):
    monkeypatch.chdir(run)
    assert cli.main(["sample", prompt, "--run", str(run / "run")]) != 0
    assert words in capsys.readouterr().err


def test_the_report_shows_captions_beside_their_pictures(run):
    assert cli.main(["report", str(run / "run")]) == 0
    page = (run / "run/report.html").read_text()
    assert list((run / "run/samples").glob("step-00000002.png")) and "data:image/png;base64," in page
