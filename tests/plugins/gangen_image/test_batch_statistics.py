"""Many processes compute what one does: batch norm, minibatch standard deviation, the running mean of styles."""

import torch
from safetensors.torch import load_file

TWO_PROCESSES = """
import sys, torch, torch.distributed as dist
from safetensors.torch import save_file
from gangen import noise
from gangen.collectives import rank, world_size
from gangen_image.dcgan import DCGANDiscriminator, DCGANGenerator
from gangen_image.spec import ImageSpec
from gangen_image.style import StyleGenerator

torch.set_default_dtype(torch.float64)
if len(sys.argv) > 2:
    dist.init_process_group("gloo")
torch.manual_seed(0)
spec = ImageSpec(1, 8, ("a", "b"))
nets = {
    "generator": DCGANGenerator(spec, width=4, condition="modulate", latent_dim=4),
    "discriminator": DCGANDiscriminator(ImageSpec(1, 16, ("a", "b")), width=4, minibatch_std=2),
    "style": StyleGenerator(spec, width=4, latent_dim=4, mapping_layers=2),
}
label = torch.tensor([0, 1, 1, 1, 0, 0, 1, 0]).chunk(world_size())[rank()]
found = {}
with noise.shared(5, rank(), world_size()):
    for name, net in nets.items():
        if name == "discriminator":
            y = net(noise.normal(len(label), 1, 16, 16), {"label": label})
        else:
            y = net.sample(len(label), {"label": label})
        y.square().mean().backward()
        for key, parameter in net.named_parameters():
            gradient = parameter.grad / world_size()
            if world_size() > 1:
                dist.all_reduce(gradient)
            found[f"{name}.{key}"] = gradient
        found |= {f"{name}.{key}": buffer.clone() for key, buffer in net.named_buffers()}
save_file(found, f"{sys.argv[1]}{rank()}.safetensors")
if dist.is_initialized():
    dist.destroy_process_group()
"""


def test_two_processes_share_batch_statistics(tmp_path, python):
    """Gradients through batch norm, running statistics and the mean style are those of one process with all rows."""
    script = tmp_path / "statistics.py"
    script.write_text(TWO_PROCESSES)
    python(script, tmp_path / "one")
    python(script, tmp_path / "two", "distributed", processes=2)
    one, *two = (load_file(tmp_path / f"{name}.safetensors") for name in ("one0", "two0", "two1"))
    assert any(key.endswith("running_var") for key in one) and "style.mean_style" in one
    for key, expected in one.items():
        assert torch.allclose(two[0][key], expected, rtol=0, atol=1e-12), key
        assert torch.equal(two[0][key], two[1][key]), key
