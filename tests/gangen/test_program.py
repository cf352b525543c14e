"""Models as programs of torch, which need no gangen to run."""

import json

import pytest
import torch
from torch import nn

from gangen import UsageError, noise
from gangen.model import Model


class Codec:
    spec = None
    per_prompt = 1

    def prompts(self):
        return [""]

    def encode(self, prompt, n):
        return {"push": torch.arange(n) / 2}

    def decode(self, samples):
        return list(samples)


class Pushed(nn.Module):
    """Two draws of noise, moved by the condition."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def sample(self, n, condition=None, *, scale: float = 1.0):
        x = self.layer(noise.normal(n, 3)) * scale
        return x + condition["push"][:, None] + noise.uniform(n, 2)


class Deciding(Pushed):
    def sample(self, n, condition=None):
        x = super().sample(n, condition)
        return x if x.sum() > 0 else -x


class Counting(Pushed):
    def sample(self, n, condition=None):
        return super().sample(n, condition).reshape(len(condition["push"]), 2)


class Drawing(Pushed):
    def sample(self, n, condition=None):
        return super().sample(n, condition) + torch.randn(n, 2)


class Choosing(Pushed):
    def sample(self, n, condition=None):
        return super().sample(n, condition) + noise.normal(2 * n, 2)[:n]


def model(network):
    return Model(network, {"generator": network}, Codec(), "test/pushed", torch.device("cpu"))


def test_a_program_makes_the_samples_of_its_networks_for_any_number_of_rows(tmp_path):
    network = Pushed()
    model(network).save_program(tmp_path / "pushed.pt2", scale=2.0)
    about = {"inputs.json": ""}
    program = torch.export.load(tmp_path / "pushed.pt2", extra_files=about).module()
    inputs = json.loads(about["inputs.json"])
    assert inputs["noise"] == [
        {"distribution": "normal", "type": "float32", "shape": ["n", 3]},
        {"distribution": "uniform", "type": "float32", "shape": ["n", 2]},
    ]
    assert inputs["condition"] == {"push": {"type": "float32", "shape": ["n"]}}
    assert inputs["settings"] == {"scale": 2.0}
    for n in (1, 2, 7):
        x, u, push = torch.randn(n, 3), torch.rand(n, 2), torch.rand(n)
        torch.testing.assert_close(program([x, u], {"push": push}), 2 * network.layer(x) + push[:, None] + u)


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (Deciding, "decides by what it has computed, which a program cannot do, at .*test_program.py:.*x.sum"),
        (Counting, "fix the number of rows, as by len"),
        (Drawing, "draws by torch's own generators"),
        (Choosing, "draws 6 rows of noise for 3 samples"),
    ],
)
def test_what_is_no_program_is_refused_with_the_reason(network, why, tmp_path, capfd):
    with pytest.raises(UsageError, match=rf"test/pushed cannot be written as a program: .*{why}"):
        model(network()).save_program(tmp_path / "no.pt2")
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["values", "to"])
def test_networks_may_be_called_as_a_module_calls_something_of_its_own(name, tmp_path):
    network = Pushed()
    Model(network, {name: network}, Codec(), "test/pushed", torch.device("cpu")).save_program(tmp_path / "pushed.pt2")
    program = torch.export.load(tmp_path / "pushed.pt2").module()
    assert program([torch.zeros(2, 3), torch.zeros(2, 2)], {"push": torch.zeros(2)}).shape == (2, 2)


@pytest.mark.parametrize("name", ["no\0file.pt2", "no/file.pt2"])
def test_a_path_that_cannot_be_written_to_is_refused(name, tmp_path):
    with pytest.raises(UsageError, match="test/pushed cannot be written as a program: cannot write to"):
        model(Pushed()).save_program(tmp_path / name)


def test_another_suffix_and_a_setting_that_is_none_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"let its name end in \.pt2"):
        model(Pushed()).save_program(tmp_path / "pushed.onnx")
    with pytest.raises(UsageError, match="no sampling setting 'scael'; did you mean 'scale'"):
        model(Pushed()).save_program(tmp_path / "pushed.pt2", scael=1.0)
