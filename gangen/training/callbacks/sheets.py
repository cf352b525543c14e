"""Sheets of samples while a run trains."""

from rich.console import Console

from gangen import noise
from gangen.contracts import Callback
from gangen.networks import evaluating
from gangen.noise import mix
from gangen.run_directory import RunDirectory
from gangen.training.callbacks.record import PLAIN, due, position
from gangen.training.trainer import Trainer


class Samples(Callback):
    """Every ``every`` steps, a sheet of samples per prompt from the same noise, in the run directory and on the screen.

    The first sheet shows held-out rows instead, where the codec can show them, to compare with.
    """

    def __init__(self, run: RunDirectory, every: int, console: Console) -> None:
        self.run = run
        self.every = every
        self.console = console

    def start(self, trainer: Trainer) -> None:
        codec = trainer.data.codec
        if self.every and trainer.state.total == 0 and hasattr(codec, "reals"):
            rows = {prompt: codec.reals(trainer.data.heldout, prompt, codec.per_prompt) for prompt in codec.prompts()}
            codec.render({prompt: codec.decode(real) for prompt, real in rows.items()}, self.run.samples / "real")

    def after_step(self, trainer: Trainer) -> None:
        if not due(trainer, self.every):
            return
        codec, net = trainer.data.codec, trainer.networks.averaged("generator")
        sheet = {}
        with evaluating(net):
            for prompt in codec.prompts():
                with noise.shared(mix(trainer.seed, prompt)):
                    condition = codec.encode(prompt, codec.per_prompt)
                    condition = {name: tensor.to(trainer.device) for name, tensor in condition.items()}
                    sheet[prompt] = codec.decode(net.sample(codec.per_prompt, condition))
        path = codec.render(sheet, self.run.samples / f"step-{trainer.state.total:08d}")
        phase, step = position(trainer)
        self.console.print(f"\nsamples after {trainer.phases[phase].name} {step}: {path}", **PLAIN)
        if preview := codec.preview(sheet):
            self.console.print(preview + "\n", **PLAIN)
