"""Games: what objectives, samplers and metrics owe to the trainer, in a recipe that plays them."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor, nn

from gangen import saved_model
from gangen.api import read
from gangen.components.registry import Registry
from gangen.contracts import Clock
from gangen.metrics.context import measure
from gangen.model import Model
from gangen.recipe.load import load_recipe
from gangen.recipe.sections import Recipe
from gangen.recipe.source import dump
from gangen.run_directory import checkpoints_in
from gangen.samplers import drawing, drawn
from gangen.testing.subject import Contract, Subject, alike, by_rows, part_of
from gangen.training.assemble import build_context, build_game, distributions_of
from gangen.training.players import learning
from gangen.training.process import sharing
from gangen.training.rehearsal import rehearse
from gangen.training.run import train
from gangen.training.trainer import Trainer

Given = os.PathLike[str] | str | Mapping[str, Any]
_CPU = torch.device("cpu")


def play(recipe: Given, /, steps: int = 2, **overrides: Any) -> Model:
    """Play each phase for some steps, with sheets and metrics; save, load, sample twice by one seed; all in a folder
    that is thrown away. Returns the model. Recipes and overrides are as in ``gangen.train``, and so are errors.
    """
    with _reading(recipe, overrides) as (loaded, registry):
        return rehearse(loaded, registry, steps)


def check_objective(recipe: Given, /, *, micro_batches: bool = True, **overrides: Any) -> None:
    """In each turn that the recipe plays a gradient reaches every player that the turn declares, it is the same when it
    is played again, and that of two micro-batches; and what the game remembers are buffers. Other players cannot be
    reached: they are frozen.

    ``micro_batches=False`` is for games whose rows depend on each other, as by a deviation over the batch, and for
    players that look across rows or change as they are asked, as by batch norm, spectral norm or dropout of torch's.
    Raises AssertionError where that is not so.
    """
    with _reading(recipe, overrides) as (loaded, registry):
        it = Contract(str(registry.find("objectives", loaded.objective.name)))
        played = _gradients(it, loaded, registry, 1)
        for turn, players in played.items():
            for player, gradients in players.items():
                found = {name: gradient for name, gradient in gradients.items() if gradient is not None}
                it.expect(found, f"a gradient of turn {turn!r} reaches {player!r}, which @updates says that it teaches")
                odd = [name for name, gradient in found.items() if not gradient.isfinite().all()]
                it.expect(not odd, f"gradients of turn {turn!r} are finite", odd[:5])
        contracts = {1: "a turn is a function of batch, weights and noise: played again, it has the same gradient"}
        if micro_batches:
            contracts[2] = (
                "two micro-batches have the gradient of one batch: a loss is a mean over rows, or a gangen.Mean "
                "(micro_batches=False for games and players that look across rows)"
            )
        for accumulate, contract in contracts.items():
            again = _gradients(it, loaded, registry, accumulate)
            differ = [
                f"{turn}: {player}.{name}"
                for turn, players in played.items()
                for player, gradients in players.items()
                for name, gradient in gradients.items()
                if gradient is not None and not _near(again[turn][player][name], gradient)
            ]
            it.expect(not differ, contract, ", ".join(differ[:5]))


def check_sampler(recipe: Given, /, **overrides: Any) -> None:
    """The recipe's sampler makes as many finite rows as it is asked for, each a function of its own noise and
    condition; and after the model was saved and loaded it makes the same. Raises AssertionError where that is not so.
    """
    with _reading(recipe, overrides) as (loaded, registry), TemporaryDirectory() as folder:
        it = Contract(str(registry.find("samplers", loaded.sampler.name)))
        data, players, _, _ = build_game(loaded, registry, _CPU)
        context = build_context(loaded, registry, data, players, _CPU)
        sampler = context.sampler
        condition = {name: column[:8] for name, column in context.conditioned_on(data.heldout.rows()).items()}
        count = min([8, *map(len, condition.values())])

        def ask(sampler: Any, networks: Mapping[str, nn.Module], rows: slice) -> Tensor:
            few = len(range(count)[rows])
            with drawing(5, _CPU, *networks.values()), by_rows(few):
                return drawn(sampler.sample, few, part_of(condition, rows), {})

        whole = ask(sampler, context.players.averages(), slice(count))
        it.expect(not whole.is_floating_point() or whole.isfinite().all(), "samples are finite")
        it.expect(
            alike(ask(sampler, context.players.averages(), slice(2)), whole[:2]),
            "a sample is a function of its own noise and condition, whatever others are drawn with it",
        )
        there = Path(folder) / "model"
        distributions = distributions_of(loaded, registry)
        saved_model.export(there, context.players, sampler, data.codec, loaded, distributions, {})
        model = saved_model.read_model(there, registry)
        it.expect(
            alike(ask(model.sampler, model.networks, slice(count)), whole),
            "a model that was saved and loaded, with the players that `networks` names, makes the same",
        )


def check_metric(metric: str | type, recipe: Given, /, **options: Any) -> None:
    """Figures of the recipe's game are numbers by name, the same when they are taken again, and taking them leaves the
    networks as they were. Raises AssertionError where that is not so.
    """
    it = Subject("metrics", metric, options)
    with _reading(recipe, {"metrics": []}) as (loaded, registry):
        data, players, _, _ = build_game(loaded, registry, _CPU)
        before = {name: [tensor.clone() for tensor in it.net.state_dict().values()] for name, it in players.items()}
        taken = []
        for _ in range(2):
            context = build_context(loaded, registry, data, players, _CPU)
            with drawing(0, _CPU):
                built = it.build(spec=data.codec.spec)
            if hasattr(built, "check"):
                built.check(context)
            taken.append(measure(built, context))
        it.expect(taken[0], "a metric returns figures by name, a gangen.Figure or a number each")
        it.expect(
            str(taken[0]) == str(taken[1]),
            "figures are a function of the game, the data and context.seed: taken again, they are the same",
            f"{taken[0]}, then {taken[1]}",
        )
        after = {name: list(it.net.state_dict().values()) for name, it in players.items()}
        changed = [name for name in before if not all(map(torch.equal, before[name], after[name]))]
        it.expect(not changed, "a metric leaves networks as they were", changed)


def same_on_processes(recipe: Given, /, processes: int = 2, steps: int = 2, **overrides: Any) -> None:
    """The recipe, played for some steps of each phase by plain gradient descent, ends with the same networks on one
    process and on several of this machine's CPUs, which torchrun starts: they know of plugins that are installed, and
    of files of ``code``, but not of classes of this process. Raises AssertionError where that is not so.
    """
    with _reading(recipe, overrides) as (loaded, registry), TemporaryDirectory() as named:
        plain, folder = loaded.to_dict(), Path(named)
        descent = {"use": "sgd", "lr": 1e-2}
        for phase in plain["phases"].values():
            phase["steps"] = steps
            phase["optimizers"] = dict.fromkeys(phase["optimizers"], descent)
        for player in plain["players"].values():
            player["optimizer"] = descent
        plain["every"] = {"log": 1, "sample": 0, "evaluate": 0, "checkpoint": 10**9}
        plain |= {"metrics": [], "keep_best": None, "guard": None}
        runs = {count: folder / f"on-{count}" for count in (1, processes)}
        files = {count: folder / f"on-{count}.yaml" for count in runs}
        for count, run in runs.items():
            files[count].write_text(dump(plain | {"run": str(run)}), encoding="utf-8")
        train(load_recipe(files[1], registry=registry, run_code=False), registry)
        launcher = f"-m torch.distributed.run --standalone --nproc-per-node {processes} -m gangen train".split()
        environment = {**os.environ, "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, *launcher, str(files[processes])]
        said = subprocess.run(command, env=environment, capture_output=True, text=True).stderr
        weights = []
        for count, run in runs.items():
            # What they wrote is what counts: gloo may abort a process that is done, at the interpreter's exit.
            checkpoints = checkpoints_in(run / "checkpoints")
            assert checkpoints, f"on {count} processes it cannot be played: {said[-2000:]}"
            weights.append({path.parent.name: load_file(path) for path in checkpoints[-1].glob("*/model.safetensors")})
        differ = [
            player
            for player, alone in weights[0].items()
            if not all(_near(weights[1][player][name], tensor) for name, tensor in alone.items())
        ]
        Contract(f"recipe {loaded.source}").expect(
            not differ,
            f"players learn the same on one process and on {processes}: noise is gangen.noise's, and what a loss says "
            "of the whole batch is gathered, as by gangen.all_mean",
            f"not {', '.join(differ)}",
        )


@contextmanager
def _reading(recipe: Given, overrides: Mapping[str, Any]) -> Iterator[tuple[Recipe, Registry]]:
    """A recipe, which need not say where its run goes."""
    loaded, registry = read({"run": "runs/test"} | dict(recipe) if isinstance(recipe, Mapping) else recipe, overrides)
    with sharing(loaded):
        yield loaded, registry


Gradients = dict[str, dict[str, dict[str, Tensor | None]]]


def _gradients(it: Contract, loaded: Recipe, registry: Registry, accumulate: int) -> Gradients:
    """Of a game at its beginning, by turn, player and weight, those of each turn that the recipe plays."""
    data, players, phases, objective = build_game(loaded, registry, _CPU)
    trainer = Trainer(
        accelerator=Accelerator(cpu=True),
        data=data,
        players=players,
        phases=phases,
        objective=objective if isinstance(objective, nn.Module) else None,
        accumulate=accumulate,
        seed=loaded.seed,
    )
    found: Gradients = {}
    for number, phase in enumerate(phases):
        trainer.state.phase = number
        trainer.renew_copies(phase)
        for turn in phase.turns:
            with learning(players, turn.updates) as learners:
                clock = Clock(phase.name, 0, phase.steps, phase.batch_size)
                (trainer.compute_gradients if turn.updates else trainer.watch)(turn, clock)
                found[turn.name] = {
                    player.name: {
                        name: None if parameter.grad is None else parameter.grad.clone()
                        for name, parameter in player.net.named_parameters()
                        if any(parameter is learned for learned in player.trainable)
                    }
                    for player in learners
                }
            trainer.state.batches += 1
    modules = objective.modules() if isinstance(objective, nn.Module) else [objective]
    kept = [name for module in modules for name, entry in vars(module).items() if isinstance(entry, Tensor)]
    it.expect(not kept, "what a game remembers are buffers of a module (register_buffer), which checkpoints keep", kept)
    return found


def _near(one: Tensor | None, other: Tensor) -> bool:
    """Equal but for rounding, on the scale of the largest entry: a gradient has many that cancel."""
    if one is None:
        return False
    return torch.allclose(one, other, rtol=1e-3, atol=max(1e-7, 1e-4 * other.abs().max().item()))
