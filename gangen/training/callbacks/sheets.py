"""Sheets of samples while a run trains."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from gangen.console import Console
from gangen.contracts import SHEET_ROWS, Batch, Callback, Codec, Data, SheetRow, sheet_prompts, sheet_rows
from gangen.labels import labels_shown
from gangen.noise import mix
from gangen.printing import visible
from gangen.run_directory import RunDirectory
from gangen.samplers import Sampler, drawing, drawn
from gangen.training.callbacks.record import PLAIN, due, pardoning, position
from gangen.training.players import whole
from gangen.training.trainer import Trainer


@dataclass
class Sheets(Callback):
    """Every ``every`` steps, a sheet of samples from the same noise, in the run directory and on the screen.

    Its rows are those of the data, or one for each of the codec's prompts. Then the first sheet shows held-out rows
    instead, where the codec can show them, to compare with.
    """

    run: RunDirectory
    every: int
    sampler: Sampler
    console: Console

    def start(self, trainer: Trainer) -> None:
        with whole(trainer.players.values()):
            self._begin(trainer)

    def _begin(self, trainer: Trainer) -> None:
        data, step = trainer.data, trainer.state.total
        if step and (trainer.state.phase < len(trainer.phases) or not any(self.run.samples.glob(f"step-{step:08d}*"))):
            self.after_step(trainer)  # again, since a kill may have come between a checkpoint and the sheet of its step
        elif self.every and not step and hasattr(data.codec, "samples_of") and not hasattr(data, "sheet"):
            with pardoning(trainer, self.run, self.console, "a sheet of held-out rows"):
                data.codec.render(real_sheet(data.codec, data.heldout.rows()), self.run.samples / "real")

    def after_step(self, trainer: Trainer) -> None:
        if due(trainer, self.every):
            pardoned = pardoning(trainer, self.run, self.console, "a sheet of samples")
            with trainer.pace.paused(), whole(trainer.players.values()), pardoned:
                self._draw(trainer)

    def _draw(self, trainer: Trainer) -> None:
        codec = trainer.data.codec
        networks = [trainer.networks.averaged(name) for name in self.sampler.networks]
        sheet = sheet_of(trainer.data, self.sampler, networks, trainer.seed, trainer.device)
        files, preview = write_sheet(codec, sheet, self.run.samples / f"step-{trainer.state.total:08d}")
        phase, step = position(trainer)
        self.console.print(f"\nsamples after {trainer.phases[phase].name} {step}: {files}", **PLAIN)
        if preview:
            self.console.print(preview + "\n", **PLAIN)


def sheet_of(
    data: Data, sampler: Sampler, networks: Iterable[nn.Module], seed: int, device: torch.device
) -> list[SheetRow]:
    """The rows of a sheet with their samples, which are decoded."""
    sheet = []
    for row in sheet_rows(data):
        with drawing(mix(seed, row.title), device, *networks):
            condition = {name: tensor.to(device) for name, tensor in row.condition.items()}
            sheet.append(replace(row, samples=data.codec.decode(drawn(sampler.sample, row.n, condition, {}))))
    return sheet


def write_sheet(codec: Codec, sheet: Sequence[SheetRow], path: Path) -> tuple[str, str]:
    """Files of a sheet, with the name of ``path``: (which they are, in words; what a terminal shows of it)."""
    written = codec.render(sheet, path)
    files = ", ".join(map(str, [written] if isinstance(written, Path) else written))
    part = labels_shown([row.title for row in sheet], codec.prompts())
    preview = codec.preview(sheet) if hasattr(codec, "preview") else ""
    return files + (f" ({part})" if part else ""), visible(preview)


def real_sheet(codec: Codec, columns: Batch) -> list[SheetRow]:
    """Rows as a sheet shows samples: with labels, which are the codec's prompts by number, a row for each."""
    labels, sheet = columns.get("label"), []
    every = torch.arange(len(next(iter(columns.values()))))
    shown = sheet_prompts(codec) if labels is not None else [(0, "")]
    if labels is not None and not any((labels == number).any() for number, _ in shown):  # of many labels others are
        shown = [(number, codec.prompts()[number]) for number in labels.unique()[:SHEET_ROWS].tolist()]
    for number, prompt in shown:
        chosen = every if labels is None or not prompt else every[labels == number]
        real = {name: column[chosen[: codec.per_prompt]] for name, column in columns.items()}
        sheet.append(SheetRow(prompt, samples=codec.decode(codec.samples_of(real))))
    return sheet
