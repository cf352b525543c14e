"""From a recipe to a game that can be played; what can be known to fail fails here, before any training."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from gangen import saved_model
from gangen.account import told
from gangen.collectives import launched, world_size
from gangen.components.messages import any_of
from gangen.components.registry import Registry
from gangen.console import Console
from gangen.contracts import Callback, Data, Metric, sheet_rows
from gangen.errors import CheckpointError, Problem, RecipeError, RunError, UsageError, did_you_mean
from gangen.metrics.context import MetricContext
from gangen.noise import mix
from gangen.optimizers import Learning, Parameters
from gangen.recipe.players import OptimizerRecipe
from gangen.recipe.sections import Recipe
from gangen.run_directory import RunDirectory
from gangen.samplers import Sampler, drawing
from gangen.torch_draws import undisturbed
from gangen.training import checkpoint, compilation
from gangen.training.agreement import agreed
from gangen.training.callbacks.best_model import BestModel
from gangen.training.callbacks.bystander import Bystander
from gangen.training.callbacks.checkpoints import Checkpoints
from gangen.training.callbacks.evaluations import Evaluations
from gangen.training.callbacks.finiteness import Finiteness
from gangen.training.callbacks.heartbeat import Heartbeat
from gangen.training.callbacks.progress import Log
from gangen.training.callbacks.record import PLAIN
from gangen.training.callbacks.sheets import Sheets
from gangen.training.callbacks.signals import StopOnSignal
from gangen.training.compatibility import (
    find_blind_spots,
    find_few_held_out,
    find_flattered,
    find_misfits,
    find_scarcity,
    find_unknown_parts,
)
from gangen.training.data_digests import digests_of
from gangen.training.phases import Phase, Turn
from gangen.training.plan import plan
from gangen.training.players import Player, networks_of, whole
from gangen.training.sharding import complaint
from gangen.training.trainer import Trainer


def check(recipe: Recipe, registry: Registry) -> list[str]:
    """Build the whole game on the CPU without training or writing; returns what it found, a line each.

    That its folder has another run in it is the last of them: the recipe may be right, and nothing is trained here.
    """
    run, device, taken = RunDirectory(recipe.run), torch.device("cpu"), []
    try:
        run.claim(recipe, registry)
    except RunError as error:
        taken = [f"it cannot be trained as it is: {error}"]
    data, players, phases, objective = build_game(recipe, registry, device)
    found, damaged = (None, []) if taken else checkpoint.newest_whole(run.checkpoints, device)
    if found:
        checkpoint.refuse_other_data(digests_of(data), found, device)
    context = build_context(recipe, registry, data, players, device)
    metrics = build_metrics(recipe, registry, context)
    damaged += start_players(recipe, players, device)
    accounts = told(data, recipe.data.name)
    lines = [f"data: {recipe.data.name}, {data.codec.spec}", *accounts.lines]
    lines += plan(recipe, players, phases, objective)
    warnings = [*damaged, *accounts.warnings, *find_scarcity(recipe, data), *find_few_held_out(recipe, data)]
    warnings += [*find_flattered(metrics, context.players), *taken]
    return lines + [f"warning: {warning}" for warning in warnings]


def assemble(
    recipe: Recipe, registry: Registry, accelerator: Accelerator, run: RunDirectory, console: Console
) -> Trainer:
    """The trainer of a recipe on this process, at its first step."""
    with agreed(accelerator.device):
        data, players, phases, objective = build_game(recipe, registry, accelerator.device, accelerator.num_processes)
        context = build_context(recipe, registry, data, players, accelerator.device)
        metrics = build_metrics(recipe, registry, context)
    sampler, networks = context.sampler, context.players
    for player in players.values():
        player.synchronize()
    with agreed(accelerator.device):
        for player in players.values():
            player.before_training()
        shard_players(recipe, players, phases)
    if recipe.trainer.compile:
        console.print("compile: the first steps take longer, minutes where networks are large")
        compilation.check_compiler(accelerator.device)
        compilation.compile_game(players, objective, lambda words: console.print(words, **PLAIN))
    distributions = distributions_of(recipe, registry)
    code = {path.name: path.read_text(encoding="utf-8") for path in recipe.code}

    def export(folder: Path) -> None:
        with whole([players[name] for name in sampler.networks], here=main):
            if main:
                with run.writing():
                    saved_model.export(folder, networks, sampler, data.codec, recipe, distributions, code)

    every, main = recipe.every, accelerator.is_main_process
    # The checkpoint of a step comes before all that may fail or take long, so that the step is not lost by it.
    callbacks: list[Callback] = [
        Log(run, every.log, console, main=main),
        Finiteness(run, (every.checkpoint, every.evaluate if recipe.keep_best else 0), console, main=main),
        Checkpoints(run, every.checkpoint, keep=recipe.trainer.keep_checkpoints, export=export),
        *_build_observers(recipe, registry),
    ]
    callbacks.append(Sheets(run, every.sample, sampler, console) if main else Bystander(every.sample))
    best = BestModel(recipe.keep_best, run.best, export) if recipe.keep_best else None
    if metrics:
        evaluations = Evaluations(run, every.evaluate, metrics, context, console, best)
        callbacks.append(evaluations if main else Bystander(every.evaluate))
    callbacks.append(StopOnSignal())
    if main:
        callbacks.append(Heartbeat(run))  # the last, so that what it says of the end is true of all
    return Trainer(
        accelerator=accelerator,
        data=data,
        players=players,
        phases=phases,
        objective=objective if isinstance(objective, nn.Module) else None,
        accumulate=recipe.trainer.accumulate,
        seed=recipe.seed,
        shared_noise=recipe.trainer.noise == "global",
        skips=recipe.trainer.recovery.times if recipe.trainer.non_finite == "skip" else 0,
        callbacks=callbacks,
    )


def build_game(
    recipe: Recipe, registry: Registry, device: torch.device, processes: int = 1
) -> tuple[Data, dict[str, Player], list[Phase], Any]:
    """Data, and what ``build_players`` makes for them."""
    data = build_data(recipe, registry, device)
    return data, *build_players(recipe, registry, data, device, processes)


def build_data(recipe: Recipe, registry: Registry, device: torch.device) -> Data:
    """Set torch to the recipe's threads and precision, and open its data.

    Raises RecipeError where players want parts of their description that are not there.
    """
    settings = recipe.trainer
    if settings.threads or (device.type == "cpu" and launched()):
        torch.set_num_threads(settings.threads or _fair_share_of_cores())
    torch.set_default_dtype(torch.float64 if settings.precision == "fp64" else torch.float32)
    # Convolutions have it by torch's default, products of matrices have not.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = settings.precision == "tf32"
    with recipe.building_data():
        data = registry.build(recipe.data)
    if problems := list(find_unknown_parts(recipe, data.codec.spec)):
        raise RecipeError(problems)
    return data


def build_players(
    recipe: Recipe,
    registry: Registry,
    data: Data,
    device: torch.device,
    processes: int = 1,
    *,
    saved: Path | None = None,
) -> tuple[dict[str, Player], list[Phase], Any]:
    """Players, phases and the objective whose turns these play.

    Raises RecipeError for turns, players and sizes that do not fit each other, and CheckpointError for networks that
    are not those of the checkpoint ``saved``, before they take memory.
    """
    settings, description, players = recipe.trainer, data.codec.spec, {}
    with undisturbed():
        for name, chosen in recipe.players.items():
            spec = description if chosen.spec is None else description[chosen.spec]
            with recipe.building("players", name):
                if saved is not None:
                    checkpoint.refuse_misfit(name, partial(registry.build, chosen.component, spec=spec), saved)
                # Each network is drawn from a seed of its own, so that changing one player leaves others as they were.
                torch.manual_seed(mix(recipe.seed, "initial weights", name))
                net = registry.build(chosen.component, spec=spec).to(device).train()
            players[name] = Player(
                name,
                net,
                _learning(chosen.optimizer, registry),
                frozen=chosen.frozen,
                copy_of=chosen.copy_of,
                ema=chosen.ema,
                clip=chosen.clip,
                weight_clip=chosen.weight_clip,
            )
        with recipe.building("objective"):
            objective = registry.build(recipe.objective, spec=description)
    if isinstance(objective, nn.Module):
        objective.to(device)
    turns = {name: method for name in dir(objective) if hasattr(method := getattr(objective, name), "updates")}
    sampler = registry.find("samplers", recipe.sampler.name).load()
    problems = find_misfits(recipe, objective, turns, players, sampler, processes, trained=saved is not None)
    if problems:
        raise RecipeError(problems)
    for name, chosen in recipe.players.items():
        if chosen.original is not None:
            players[name].take_over(players[chosen.original])
        players[name].changes |= recipe.start_from is not None  # so that checkpoints hold what it started from
    phases = []
    for name, phase in recipe.phases.items():
        played = [
            Turn(turn, turns[turn], turns[turn].updates, often.times, often.every)
            for turn, often in phase.turns.items()
        ]
        phases.append(
            Phase(
                name,
                phase.steps,
                tuple(played),
                phase.batch_size or settings.batch_size,
                {player: _learning(optimizer, registry) for player, optimizer in phase.optimizers.items()},
                phase.balance,
            )
        )
    return players, phases, objective


def shard_players(recipe: Recipe, players: Mapping[str, Player], phases: Sequence[Phase]) -> None:
    """Where there are several processes, leave each with a part of those players of which the recipe says so.

    Raises RecipeError for optimizers that cannot step with parts of weights.
    """
    problems = []
    for name in [name for name, chosen in recipe.players.items() if chosen.shard and world_size() > 1]:
        ways: dict[tuple[str, ...], Learning] = {}
        if players[name].trainable:
            ways["players", name, "optimizer"] = players[name].learning
        ways |= {("phases", it.name, "optimizers", name): it.optimizers[name] for it in phases if name in it.optimizers}
        for place, learning in ways.items():
            if fault := complaint(learning, players[name].net):
                message = f"this optimizer cannot step with parts of the weights of '{name}', which is sharded: {fault}"
                problems.append(Problem(recipe.where(*place), message))
        if not problems:
            players[name].shard()
    if problems:
        raise RecipeError(problems)


def start_players(recipe: Recipe, players: dict[str, Player], device: torch.device) -> list[str]:
    """Begin with networks of other runs, or from files, where the recipe says so; returns what checkpoints are damaged.

    Raises RecipeError where there are none that fit.
    """
    start, started, problems = recipe.start_from, [], []
    runs = dict.fromkeys(players, start) if isinstance(start, str) else start or {}
    folders = dict.fromkeys(it for it in runs.values() if not it.endswith(".safetensors"))
    newest = {it: checkpoint.newest_whole(RunDirectory(it).checkpoints, device) for it in folders}
    for name, whence in runs.items():
        found, _ = newest.get(whence, (None, ()))
        try:
            if whence not in newest:
                checkpoint.start_from_file(players[name], Path(whence))
            elif Path(whence).is_file():
                raise CheckpointError(
                    f"{whence} is no file of safetensors, and others are not read, since a pickle can run code: "
                    "convert it with safetensors.torch.save_file, where you trust it"
                )
            elif found is None:
                raise CheckpointError(f"{whence} has no checkpoint to start from")
            elif (found / name).is_dir():
                checkpoint.start_from(players[name], found, recipe.trainer.batch_size)
            elif isinstance(start, dict) or not any((found / it).is_dir() for it in players):
                raise CheckpointError(f"{found} keeps no player '{name}'")
            else:
                continue
            started.append(name)
        except CheckpointError as error:
            place = recipe.where("start_from", name) if isinstance(start, dict) else recipe.where("start_from")
            problems.append(Problem(place, str(error)))
    if problems:
        raise RecipeError(dict.fromkeys(problems))
    for name, chosen in recipe.players.items():
        if chosen.original in started and name not in started:
            players[name].take_over(players[chosen.original])
    return [words for _, damaged in newest.values() for words in damaged]


def _learning(recipe: OptimizerRecipe, registry: Registry) -> Learning:
    """How a player learns by its recipe."""

    def construct(parameters: Parameters, **options: Any) -> torch.optim.Optimizer:
        return registry.build(replace(recipe.component, options=options), parameters=parameters)

    return Learning(construct, recipe.component.options, recipe.overrides)


def build_context(
    recipe: Recipe, registry: Registry, data: Data, players: Mapping[str, Player], device: torch.device
) -> MetricContext:
    """The game as metrics see it, with its sampler.

    Raises RecipeError where that needs players that are not there, or cannot draw on what these data are made on.
    """
    sampler, seed, batch_size = _sampler(recipe, registry, players), recipe.seed, recipe.trainer.eval_batch_size
    known = getattr(sampler, "conditions", None)
    if known is not None and (others := sorted(sheet_rows(data)[0].condition.keys() - set(known))):
        what = f"sampler '{recipe.sampler.name}' draws on no more than {any_of(known)}, and these data are made on"
        raise RecipeError([Problem(recipe.where("sampler"), f"{what} '{others[0]}'; take another")])
    return MetricContext(networks_of(players), data, sampler=sampler, device=device, seed=seed, batch_size=batch_size)


def _sampler(recipe: Recipe, registry: Registry, players: Mapping[str, Player]) -> Sampler:
    name = recipe.sampler.name
    problems: list[str] = []

    def complete(sampler: Any) -> bool:
        """Of a class, too, where that says which players it needs."""
        names = getattr(sampler, "networks", ())
        if isinstance(names, str):
            problems.append(f"networks of sampler '{name}' are {names!r}, and not a list of names")
        elif isinstance(names, Sequence):
            absent = [it for it in names if it not in players]
            problems.extend(f"sampler '{name}' needs a player '{it}'{did_you_mean(it, players)}" for it in absent)
        return not problems

    try:
        if complete(registry.find("samplers", name).load()):
            sampler = registry.build(recipe.sampler, players=networks_of(players).averages())
            if complete(sampler):
                return sampler
    except UsageError as error:
        problems.append(str(error))
    raise RecipeError(Problem(recipe.where("sampler"), problem) for problem in problems)


def build_metrics(recipe: Recipe, registry: Registry, context: MetricContext) -> list[Metric]:
    """The recipe's metrics, to be taken in such a context.

    Raises RecipeError where players or data lack what one of them needs.
    """
    metrics: list[Metric] = []
    problems = []
    with drawing(mix(recipe.seed, "metrics"), context.device):  # some have networks, as a judge
        for index, use in enumerate(recipe.metrics):
            with recipe.building("metrics", index):
                metrics.append(registry.build(use, spec=context.data.codec.spec))
    for index, metric in enumerate(metrics):
        try:
            if hasattr(metric, "check"):
                metric.check(context)
        except UsageError as error:
            problems.append(Problem(recipe.where("metrics", index), str(error)))
    problems = problems or find_blind_spots(recipe, metrics)
    if problems:
        raise RecipeError(problems)
    return metrics


def _build_observers(recipe: Recipe, registry: Registry) -> list[Callback]:
    places = [("callbacks", index) for index in range(len(recipe.callbacks))]
    built = []
    for place, use in zip([*places, ("guard",)], recipe.observers, strict=False):  # not each recipe has a guard
        with recipe.building(*place):
            built.append(registry.build(use))
    return built


def distributions_of(recipe: Recipe, registry: Registry) -> dict[str, str]:
    """The distributions, with versions, behind everything that a recipe uses, by namespace."""
    uses = [
        recipe.data,
        recipe.objective,
        recipe.sampler,
        *recipe.metrics,
        *recipe.observers,
        *(player.component for player in recipe.players.values()),
    ]
    components = [registry.find(use.kind, use.name) for use in uses]
    return {
        component.name.partition("/")[0]: f"{component.distribution} {component.version}" for component in components
    }


def _fair_share_of_cores() -> int:
    """`accelerate launch` and torchrun leave each process one thread; this machine's processes share all cores."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, available // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
