"""Sheets of samples while a run trains."""

from rich.console import Console

from gangen.contracts import Callback
from gangen.noise import mix
from gangen.run_directory import RunDirectory
from gangen.samplers import Sampler, drawing
from gangen.training.callbacks.record import PLAIN, due, pardoning, position
from gangen.training.trainer import Trainer


class Samples(Callback):
    """Every ``every`` steps, a sheet of samples per prompt from the same noise, in the run directory and on the screen.

    The first sheet shows held-out rows instead, where the codec can show them, to compare with.
    """

    def __init__(self, run: RunDirectory, every: int, sampler: Sampler, console: Console) -> None:
        self.run = run
        self.every = every
        self.sampler = sampler
        self.console = console

    def start(self, trainer: Trainer) -> None:
        codec, step = trainer.data.codec, trainer.state.total
        if step and (trainer.state.phase < len(trainer.phases) or not any(self.run.samples.glob(f"step-{step:08d}*"))):
            self.after_step(trainer)  # again, since a kill may have come between a checkpoint and the sheet of its step
        elif self.every and not step and hasattr(codec, "reals"):
            with pardoning(trainer, self.run, self.console, "a sheet of held-out rows"):
                rows = {
                    prompt: codec.reals(trainer.data.heldout, prompt, codec.per_prompt) for prompt in codec.prompts()
                }
                codec.render({prompt: codec.decode(real) for prompt, real in rows.items()}, self.run.samples / "real")

    def after_step(self, trainer: Trainer) -> None:
        if due(trainer, self.every):
            with pardoning(trainer, self.run, self.console, "a sheet of samples"):
                self._draw(trainer)

    def _draw(self, trainer: Trainer) -> None:
        codec, sheet = trainer.data.codec, {}
        networks = [trainer.networks.averaged(name) for name in self.sampler.networks]
        for prompt in codec.prompts():
            with drawing(mix(trainer.seed, prompt), trainer.device, *networks):
                condition = codec.encode(prompt, codec.per_prompt)
                condition = {name: tensor.to(trainer.device) for name, tensor in condition.items()}
                sheet[prompt] = codec.decode(self.sampler.sample(codec.per_prompt, condition))
        path = codec.render(sheet, self.run.samples / f"step-{trainer.state.total:08d}")
        phase, step = position(trainer)
        self.console.print(f"\nsamples after {trainer.phases[phase].name} {step}: {path}", **PLAIN)
        if preview := codec.preview(sheet):
            self.console.print(preview + "\n", **PLAIN)
