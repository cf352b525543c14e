"""The network of the FID: what it is shown, which weights it takes, and what is said where it cannot be had."""

import hashlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import nn

from gangen.components.options import read_use
from gangen.components.registry import Registry
from gangen.errors import UsageError
from gangen.metrics.comparison import Frechet
from gangen.metrics.context import MetricContext
from gangen.metrics.distances import frechet_distance, gaussian
from gangen.splits import TensorSplit
from gangen_image.codec import ImageCodec
from gangen_image.data.flipped import Flipped
from gangen_image.data.points import Points
from gangen_image.extractors.inception import Inception
from gangen_image.metrics.fid import FID50k
from gangen_image.spec import ImageSpec

CPU = torch.device("cpu")


class Network(nn.Module):
    """Takes the arguments of the real one, and reads weights as it does; features are means of channels."""

    def __init__(self, name, features_list, feature_extractor_weights_path=None):
        super().__init__()
        assert features_list == ["2048", "logits_unbiased"]
        self.fc = nn.Linear(3, 2)
        self.load_state_dict(torch.load(feature_extractor_weights_path, weights_only=False))
        self.to(torch.float32).requires_grad_(False).eval()

    def forward(self, images):
        assert images.dtype == torch.uint8
        features = images.float().mean((2, 3))
        return features, features @ self.fc.weight.T


class Shown(nn.Module):
    """A generator of given images."""

    def __init__(self, samples):
        super().__init__()
        self.samples = samples

    def sample(self, n, condition=None):
        return self.samples[:n]


class RunsCode:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def package(monkeypatch):
    """torch-fidelity as far as it is used, with ``Network`` in the place of Inception."""
    module = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = Network
    module.URL_INCEPTION_V3 = "file:///nowhere/weights-00000000.pth"
    parent = ModuleType("torch_fidelity")
    parent.feature_extractor_inceptionv3 = module
    monkeypatch.setitem(sys.modules, parent.__name__, parent)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.fixture
def hub(tmp_path):
    """An empty folder as torch's hub folder."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "hub"))
    yield
    torch.hub.set_dir(before)


def drawn(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {"fc.weight": torch.randn(2, 3, generator=generator), "fc.bias": torch.ones(2)}


def saved(path, seed=0):
    save_file(drawn(seed), path) if path.suffix == ".safetensors" else torch.save(drawn(seed), path)
    return path


def images(channels, n=120, seed=0):
    shape = n, channels, 8, 8
    pixels = torch.randint(256, shape, generator=torch.Generator().manual_seed(seed))
    return TensorSplit(image=pixels.to(torch.uint8))


def image_data(channels):
    codec = ImageCodec(ImageSpec(channels, 8))
    return SimpleNamespace(codec=codec, train=images(channels, seed=1), heldout=images(channels))


def fitted(channels, weights):
    extractor = Inception(weights=weights)
    extractor.fit(image_data(channels), CPU)
    return extractor


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_shown_the_bytes_of_a_file_in_three_channels(package, tmp_path, channels):
    extractor = fitted(channels, saved(tmp_path / "w.safetensors"))
    pixels = images(channels).rows()["image"]
    expected = pixels.float().mean((2, 3)).expand(-1, 3)
    near = pixels / 127.5 - 1 + 0.4 / 127.5
    assert torch.allclose(extractor.features(near), expected)
    assert torch.allclose(extractor.logits(near), expected @ drawn()["fc.weight"].T, atol=1e-3)
    assert (extractor.features(torch.full((2, channels, 8, 8), 7.0)) == 255).all()


def test_weights_of_both_formats_are_read_and_told_apart_by_the_digest(package, tmp_path):
    tensors, torchs, other = (
        fitted(3, saved(tmp_path / name, seed)).digest
        for name, seed in (("a.safetensors", 0), ("b.pth", 0), ("c.pth", 1))
    )
    assert tensors == torchs != other


def test_the_package_names_weights_that_are_downloaded_once(package, hub, tmp_path):
    path = saved(tmp_path / "w.pth")
    named = path.rename(tmp_path / f"w-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth")
    package.URL_INCEPTION_V3 = named.as_uri()
    expected = fitted(3, named).digest
    assert fitted(3, None).digest == expected
    named.unlink()
    assert fitted(3, None).digest == expected


def test_a_download_that_is_not_what_its_name_says_is_refused(package, hub, tmp_path):
    package.URL_INCEPTION_V3 = saved(tmp_path / "w-00000000.pth").as_uri()
    with pytest.raises(UsageError, match=r"cannot get its weights .*invalid hash value"):
        Inception().check(image_data(3))


def test_without_a_network_the_way_to_the_weights_is_told(package, hub):
    with pytest.raises(UsageError, match=r"fetch file:.*weights-00000000.pth elsewhere and name the file by"):
        Inception().check(image_data(3))


def test_a_file_of_weights_runs_no_code(package, tmp_path):
    torch.save({"fc.weight": RunsCode(tmp_path / "touched")}, tmp_path / "w.pth")
    with pytest.raises(UsageError, match=r"cannot read weights from .*w.pth: the file holds more than tensors"):
        Inception(weights=tmp_path / "w.pth").check(image_data(3))
    assert not (tmp_path / "touched").exists()


def test_what_holds_no_weights_of_inception_is_refused(package, tmp_path):
    for name in ("none.pth", "none.safetensors"):
        with pytest.raises(UsageError, match=f"cannot read weights from .*{name}"):
            Inception(weights=tmp_path / name).check(image_data(3))
    for name in ("damaged.pth", "damaged.safetensors"):
        (tmp_path / name).write_bytes(b"weights")
        with pytest.raises(UsageError, match=f"cannot read weights from .*{name}"):
            Inception(weights=tmp_path / name).check(image_data(3))
    save_file({"fc.weight": torch.ones(2, 3)}, tmp_path / "other.safetensors")
    torch.save(torch.ones(3), tmp_path / "tensor.pth")
    for name in ("other.safetensors", "tensor.pth"):
        with pytest.raises(UsageError, match=f"{name} does not hold the weights of the Inception-v3"):
            Inception(weights=tmp_path / name).check(image_data(3))


def test_a_missing_package_is_named_before_any_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(UsageError, match="pip install torch-fidelity"):
        Inception().check(image_data(3))


def test_points_and_odd_channels_are_refused(package):
    for data in (image_data(2), Points(size=10, heldout_size=10)):
        with pytest.raises(UsageError, match="looks at grey or colour images, which these are not"):
            Inception().check(data)


def test_the_draws_of_a_run_stay_what_they_were(package, tmp_path):
    before = torch.get_rng_state()
    fitted(3, saved(tmp_path / "w.safetensors"))
    assert torch.equal(torch.get_rng_state(), before)


def test_its_frechet_distance_is_called_by_its_name(package, tmp_path):
    data = image_data(3)
    made = images(3, seed=2).rows()["image"]
    players = SimpleNamespace(averaged=lambda name: Shown(data.codec.spec.prepare(made)))
    metric = Frechet(samples=120, extractor=Inception(weights=saved(tmp_path / "w.safetensors")))
    evaluation = MetricContext(players, data, device=CPU, batch_size=120)
    metric.check(evaluation)
    sides = (split.float().mean((2, 3)) for split in (data.heldout.rows()["image"], made))
    expected = frechet_distance(*map(gaussian, sides))
    assert metric(evaluation)["frechet_inception"].value == pytest.approx(expected, rel=1e-4)


class Copies(nn.Module):
    """Of 120 images, in turn."""

    def __init__(self, samples):
        super().__init__()
        self.samples, self.made = samples, 0

    def sample(self, n, condition=None):
        rows = torch.arange(self.made, self.made + n) % 120
        self.made += n
        return self.samples[rows]


def test_fid50k_has_one_protocol(package, tmp_path):
    """50,000 samples against all training images, which are never mirrored; no option changes that."""
    data, made = image_data(3), images(3, seed=2).rows()["image"]
    plain = data.train
    data.train = Flipped(plain)
    generator = Copies(data.codec.spec.prepare(made))
    evaluation = MetricContext(SimpleNamespace(averaged=lambda name: generator), data, device=CPU)
    metric = FID50k(weights=saved(tmp_path / "w.safetensors"), statistics=tmp_path / "s.safetensors")
    metric.check(evaluation)
    (figure,) = metric(evaluation).values()
    assert generator.made == 50_000
    copies = made[torch.arange(50_000) % 120].float().mean((2, 3))
    expected = frechet_distance(gaussian(plain.rows()["image"].float().mean((2, 3))), gaussian(copies))
    assert figure.value == pytest.approx(expected, rel=1e-4) and figure.real is None
    assert metric.protocol(evaluation) == {"samples": 50_000, "training rows": 120, "extractor": "inception"}
    with pytest.raises(UsageError, match="has statistics of an extractor of the same name that has other weights"):
        other = FID50k(weights=saved(tmp_path / "v.safetensors", 1), statistics=tmp_path / "s.safetensors")
        other.check(evaluation)
    registry = Registry.discover()
    for options in ({"samples": 10_000}, {"against": "held_out"}, {"extractor": "image/identity"}):
        with pytest.raises(ValidationError, match=f"unknown option '{next(iter(options))}' for metric 'image/fid50k'"):
            read_use("metrics", {"use": "image/fid50k"} | options, registry)


@pytest.fixture(scope="module")
def real():
    """The package itself, where there is one that can be imported."""
    try:
        from torch_fidelity import feature_extractor_inceptionv3
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torch-fidelity cannot be imported: {error}")
    return feature_extractor_inceptionv3


def test_the_real_network_sees_what_its_package_shows_it(real, tmp_path, monkeypatch):
    network = real.FeatureExtractorInceptionV3
    torch.manual_seed(0)
    with monkeypatch.context() as patch:
        patch.setattr(network, "load_state_dict", lambda self, weights: None)
        torch.save({}, tmp_path / "none.pth")
        drawn = network("drawn", ["2048", "logits_unbiased"], feature_extractor_weights_path=tmp_path / "none.pth")
    torch.save(drawn.state_dict(), tmp_path / "w.pth")
    save_file(drawn.state_dict(), tmp_path / "w.safetensors")
    pixels = images(3, n=4).rows()["image"]
    features, logits = drawn(pixels)
    assert features.std(0).max() > 0
    for name, dtype in (("w.pth", torch.float32), ("w.safetensors", torch.float64)):
        torch.set_default_dtype(dtype)
        try:
            extractor = fitted(3, tmp_path / name)
            samples = pixels / 127.5 - 1
            assert samples.dtype == dtype
            found = extractor.features(samples), extractor.logits(samples)
        finally:
            torch.set_default_dtype(torch.float32)
        assert found[0].shape == (4, 2048)
        assert found[1].shape == (4, 1008)
        assert torch.allclose(found[0], features, rtol=1e-5, atol=1e-7)
        assert torch.allclose(found[1], logits, rtol=1e-4, atol=1e-6)
