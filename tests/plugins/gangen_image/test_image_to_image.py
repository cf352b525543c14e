"""An image as condition, from training to prompts: sheets show input, sample and truth, which no network is handed."""

import numpy as np
import pytest
from PIL import Image

from gangen import cli, model
from gangen.errors import UsageError

CODE = '''
import torch
from PIL import Image
from torch import nn

from gangen import Figure, SheetRow, TensorSplit, UsageError, hookimpl, updates
from gangen_image.codec import ImageCodec
from gangen_image.data.pixels import to_pixels
from gangen_image.spec import ImageSpec


class Codec(ImageCodec):
    """Images that are made of images, which are the prompts."""

    takes = "an image, or the path of one"
    prompt_types = (str, Image.Image)

    def prompts(self):
        return []

    def encode(self, prompt, n):
        if prompt is None:
            raise UsageError(f"there is no image to start from; give {self.takes}")
        try:
            image = Image.open(prompt) if isinstance(prompt, str) else prompt
        except OSError as error:
            raise UsageError(f"{prompt} is no image: {error}") from None
        pixels = to_pixels(image, self.spec.channels, self.spec.size, "crop")
        return {"input": pixels.expand(n, -1, -1, -1)}


class Negatives:
    """Grey squares, "image", and their negatives, "input"."""

    codec_class = Codec

    def __init__(self):
        image = torch.arange(40, 240, 5, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 64, 64)
        self.codec = Codec(ImageSpec(1, 64))
        self.train = TensorSplit(input=255 - image[::2], image=image[::2])
        self.heldout = TensorSplit(input=255 - image[1::2], image=image[1::2])

    def sheet(self):
        pairs = self.heldout.rows(range(2))
        for number, (source, truth) in enumerate(zip(*(self.codec.decode(pairs[it]) for it in ("input", "image")))):
            condition = {"input": pairs["input"][number : number + 1]}
            yield SheetRow(f"row {number}", 1, condition, {"input": source, "truth": truth})


class Shade(nn.Module):
    """Another shade of the input, by a factor that is learned."""

    def __init__(self, spec):
        super().__init__()
        self.spec, self.factor = spec, nn.Parameter(torch.ones(()))

    def forward(self, pixels):
        return self.factor * self.spec.prepare(pixels)

    def sample(self, n, condition):
        assert set(condition) == {"input"} and len(condition["input"]) == n
        return self(condition["input"])


class Game:
    def __init__(self, spec):
        self.spec = spec

    @updates("generator")
    def translate(self, players, batch, clock):
        return (players.generator(batch["input"]) - self.spec.prepare(batch["image"])).square().mean(), {}


class Distance:
    def __call__(self, context):
        samples = context.samples(8)
        truth = context.data.heldout.batch(0, range(8), 8, seed=context.seed, device=context.device)
        return {"distance": Figure((samples - context.data.codec.samples_of(truth)).abs().mean().item(), good="low")}


@hookimpl
def gangen_data(register): register("negatives", f"{__name__}:Negatives")

@hookimpl
def gangen_generators(register): register("shade", f"{__name__}:Shade")

@hookimpl
def gangen_objectives(register): register("game", f"{__name__}:Game")

@hookimpl
def gangen_metrics(register): register("distance", f"{__name__}:Distance")
'''

RECIPE = """
code: [negatives.py]
data: local/negatives
players: {generator: {use: local/shade, optimizer: {use: sgd, lr: 1.0}}}
objective: local/game
phases: {play: {steps: 12, turns: {translate: 1}}}
trainer: {batch_size: 20}
every: {sample: 12, evaluate: 12}
metrics: [local/distance]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a trained run, runs/negatives."""
    folder = tmp_path_factory.mktemp("negatives")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "negatives.py").write_text(CODE)
        (folder / "negatives.yaml").write_text(RECIPE)
        assert cli.main(["negatives.yaml"]) == 0
        yield folder


def test_a_sheet_shows_input_sample_and_truth(folder):
    pixels = np.asarray(Image.open(folder / "runs/negatives/samples/step-00000012.png")).astype(int)
    for row in pixels[66 // 2 :: 66][-2:]:
        source, sample, truth = (row[-66 * column + 32] for column in (3, 2, 1))
        assert abs(source - (255 - truth)) <= 1 and abs(sample - truth) <= 2 < abs(sample - source)
    assert not (folder / "runs/negatives/samples/real.png").exists()


def test_metrics_know_the_truth_which_the_sampler_is_not_handed(folder):
    assert '"distance": {"value": 0.0' in (folder / "runs/negatives/metrics.jsonl").read_text()


def test_an_image_is_a_prompt_and_so_is_its_path(folder):
    made = model.load("runs/negatives", code=["negatives.py"])
    light, dark = (Image.new("L", (64, 64), shade) for shade in (200, 20))
    assert [image.getpixel((5, 5)) // 10 for image in made.sample(light, 2)] == [5, 5]
    assert [image.getpixel((5, 5)) // 10 for image in made.sample([light, dark])] == [5, 23]
    light.save(folder / "light.png")
    assert made.sample("light.png")[0].tobytes() == made.sample(light)[0].tobytes()
    flags = ["-n", "2", "--run", "runs/negatives", "--code", "negatives.py", "-o", "four.png"]
    assert cli.main(["sample", "light.png", "light.png", *flags]) == 0
    assert Image.open("four.png").size == (2 + 2 * 66, 2 + 2 * 66)
    with pytest.raises(UsageError, match="local/shade has no use for a prompt of type int: it takes an image, or the"):
        made.sample(5)
    with pytest.raises(UsageError, match="there is no image to start from; give an image, or the path of one"):
        made.sample()
