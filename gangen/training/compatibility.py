"""What in a recipe does not fit together, known once its game is built: reported before any training."""

import fnmatch
import math
from collections.abc import Iterable, Mapping, Sequence
from operator import length_hint
from typing import Any

from gangen.account import listed
from gangen.components.messages import any_of
from gangen.components.registry import name_of
from gangen.contracts import Data, Metric, training_rows
from gangen.errors import PluginError, Problem, UsageError, did_you_mean
from gangen.metrics.context import FEW
from gangen.metrics.extraction import flattered
from gangen.networks import batch_needs, differences, state_of
from gangen.recipe.sections import Recipe
from gangen.training.players import Player, networks_of

Turns = Mapping[str, Any]


def find_misfits(
    recipe: Recipe,
    objective: Any,
    turns: Turns,
    players: Mapping[str, Player],
    sampler: Any,
    processes: int,
    *,
    trained: bool = False,
) -> list[Problem]:
    """All that is wrong with the turns that ``recipe`` plays, each with its place; ``turns`` are those there are.

    ``sampler`` is the class of what will draw from the game. Of one that was ``trained`` already nothing is said
    against how that was done: an earlier version may have let it pass.
    """
    ahead = [] if trained else [*_objections(recipe, objective, turns, players), *_unfit_precisions(recipe, players)]
    return [
        *_unknown_turns(recipe, turns),
        *_missing_players(recipe, turns),
        *_wrong_learners(recipe, turns, players),
        *_idle_groups(recipe, players),
        *_unlike_copies(recipe, players),
        *_missing_methods(recipe, objective, turns, players),
        *ahead,
        *_one_sided_balances(recipe, turns),
        *_unshardable(recipe),
        *_odd_batches(recipe, objective, turns, players, processes),
        *_no_log_ratios(recipe, objective, turns, players, sampler),
    ]


def find_unknown_parts(recipe: Recipe, description: Any) -> Iterable[Problem]:
    """Players that are to be built for a part of the data's ``description`` that it does not have."""
    parts = description if isinstance(description, Mapping) else {}
    for name, player in recipe.players.items():
        if player.spec is not None and player.spec not in parts:
            known = f"; it has: {', '.join(parts)}" if parts else ", which has no parts; leave spec out"
            yield Problem(
                recipe.where("players", name, "spec"),
                f"there is no '{player.spec}' in the description of data '{recipe.data.name}'"
                f"{did_you_mean(player.spec, parts) or known}",
            )


def find_scarcity(recipe: Recipe, data: Data) -> list[str]:
    """In words, that a batch is larger than the set of rows that it comes from."""
    count = length_hint(training_rows(data), 0)
    sizes = {phase.batch_size or recipe.trainer.batch_size for phase in recipe.phases.values()}
    if not 0 < count < max(sizes):
        return []
    rows = f"{count:,} training row{'s are' if count > 1 else ' is'}"
    return [f"{rows} fewer than a batch of {max(sizes):,}, which repeats them; take a smaller batch_size, or more data"]


def find_few_held_out(recipe: Recipe, data: Data) -> list[str]:
    """In words, that metrics will warn of the number of held-out rows that they look at."""
    count = len(data.heldout)
    if not recipe.metrics or count >= FEW:
        return []
    rows = f"{count} held-out row{'s are' if count > 1 else ' is'}"
    return [f"{rows} few for metrics that look at them, which want {FEW}; hold out more"]


def find_flattered(metrics: Sequence[Metric], players: Mapping[str, Any]) -> list[str]:
    """In words, which figures will flatter, since a player looks through what a metric looks through."""
    extractors = [it for metric in metrics if (it := getattr(metric, "extractor", None)) is not None]
    return list(dict.fromkeys(words for extractor in extractors for words in flattered(extractor, players)))


def find_blind_spots(recipe: Recipe, metrics: Sequence[Metric]) -> list[Problem]:
    """Extractors that nobody could tell apart by their figures, or that all miss a fault; ``metrics`` were checked."""
    seeing = {
        index: extractor
        for index, metric in enumerate(metrics)
        if (extractor := getattr(metric, "extractor", None)) is not None
    }
    for index, extractor in seeing.items():
        twin = next((it for it in seeing.values() if it.name == extractor.name and it.key != extractor.key), None)
        if twin:
            message = f"two different extractors are called '{extractor.name}', and so would be their figures"
            return [Problem(recipe.where("metrics", index), f"{message}; take one of them")]
    faults = {getattr(extractor, "blind_to", None) for extractor in seeing.values()}
    if len(faults) == 1 and None not in faults:
        index, extractor = next(iter(seeing.items()))
        message = (
            f"extractor '{extractor.name}' hardly sees {extractor.blind_to}, and none here does: add a metric that "
            "looks through another extractor"
        )
        return [Problem(recipe.where("metrics", index), message)]
    return []


def _unknown_turns(recipe: Recipe, turns: Turns) -> Iterable[Problem]:
    for phase_name, phase in recipe.phases.items():
        for name in [name for name in phase.turns if name not in turns]:
            yield Problem(
                recipe.where("phases", phase_name, "turns", name),
                f"objective '{recipe.objective.name}' has no turn '{name}'{did_you_mean(name, turns)}; "
                f"it has: {', '.join(sorted(turns))}",
            )


def _missing_players(recipe: Recipe, turns: Turns) -> Iterable[Problem]:
    for phase, name in _played(recipe, turns):
        needed = dict.fromkeys(getattr(turns[name], "needs", {}), "needs") | dict.fromkeys(
            turns[name].updates, "updates"
        )
        for player, verb in needed.items():
            if player not in recipe.players:
                yield Problem(
                    recipe.where("phases", phase, "turns", name),
                    f"turn '{name}' of '{recipe.objective.name}' {verb} a player '{player}', "
                    "which this recipe does not have",
                )


def _wrong_learners(recipe: Recipe, turns: Turns, players: Mapping[str, Player]) -> Iterable[Problem]:
    """Players that are to learn and cannot."""
    still = {name for name, player in recipe.players.items() if player.frozen or player.copy_of}
    for name, player in players.items():
        if name not in still and not player.trainable:
            message = f"player '{name}' has no parameters to learn; set frozen: true"
            yield Problem(recipe.where("players", name), message)
    for phase, name in _played(recipe, turns):
        for learner in still.intersection(turns[name].updates):
            message = f"turn '{name}' of '{recipe.objective.name}' updates '{learner}', which never learns here"
            yield Problem(recipe.where("phases", phase, "turns", name), message)
    for phase in recipe.phases:
        for learner in still.intersection(recipe.phases[phase].optimizers):
            message = f"'{learner}' never learns, so it has no optimizer"
            yield Problem(recipe.where("phases", phase, "optimizers", learner), message)


def _idle_groups(recipe: Recipe, players: Mapping[str, Player]) -> Iterable[Problem]:
    """Groups of an optimizer that no parameter belongs to."""
    optimizers = [
        *((("players", name, "optimizer"), name, player.optimizer) for name, player in recipe.players.items()),
        *(
            (("phases", phase_name, "optimizers", name), name, optimizer)
            for phase_name, phase in recipe.phases.items()
            for name, optimizer in phase.optimizers.items()
        ),
    ]
    for path, name, optimizer in optimizers:
        names = [parameter for parameter, _ in players[name].net.named_parameters()]
        for index, group in enumerate(optimizer.groups):
            if not fnmatch.filter(names, group.match):
                message = f"no parameter of player '{name}' is called {group.match!r}; they are: {listed(names)}"
                yield Problem(recipe.where(*path, "groups", index, "match"), message)


def _unlike_copies(recipe: Recipe, players: Mapping[str, Player]) -> Iterable[Problem]:
    """Players that are to take over weights of another one whose network is built otherwise."""
    for name, player in recipe.players.items():
        if player.original and (differ := differences(players[name].net, state_of(players[player.original].net))):
            if player.init and hasattr(players[name].net, "begin_as"):
                try:
                    players[name].take_over(players[player.original])
                    continue
                except UsageError as error:
                    differ = str(error)
            message = f"'{name}' cannot take over the weights of '{player.original}': {differ}"
            yield Problem(recipe.where("players", name, "copy_of" if player.copy_of else "init"), message)


def _missing_methods(recipe: Recipe, objective: Any, turns: Turns, players: Mapping[str, Player]) -> Iterable[Problem]:
    """Methods that a turn asks of a player, or the whole objective with the options that it was given."""
    needs = [(f"turn '{name}' of ", getattr(turns[name], "needs", {}), "") for _, name in _played(recipe, turns)]
    for asker, needed, with_options in [*needs, ("", getattr(objective, "needs", {}), " with its options")]:
        for player, methods in needed.items():
            for method in methods:
                if player in players and not hasattr(players[player].net, method):
                    yield Problem(
                        recipe.where("players", player),
                        f"'{recipe.players[player].component.name}' lacks {method}(), "
                        f"which {asker}'{recipe.objective.name}' needs{with_options}",
                    )


def _objections(recipe: Recipe, objective: Any, turns: Turns, players: Mapping[str, Player]) -> Iterable[Problem]:
    """What the objective itself says against its players, or the turns that are played."""
    if hasattr(objective, "check"):
        try:
            objective.check(networks_of(players), {turn for _, turn in _played(recipe, turns)})
        except UsageError as error:
            yield Problem(recipe.where("objective"), str(error))


def _unshardable(recipe: Recipe) -> Iterable[Problem]:
    """Sharded players of which processes would leave out other steps than each other."""
    for name, player in recipe.players.items():
        if player.shard and recipe.trainer.precision == "fp16":
            message = (
                "with precision fp16 steps whose gradients overflow are left out, and of a sharded player each process "
                "sees a part of these alone; take bf16"
            )
            yield Problem(recipe.where("players", name, "shard"), message)


def _unfit_precisions(recipe: Recipe, players: Mapping[str, Player]) -> Iterable[Problem]:
    """Networks that say by ``unfit_precisions`` that they cannot be computed in the recipe's.

    Raises PluginError where that is no mapping.
    """
    precision = recipe.trainer.precision
    for name, player in players.items():
        who, unfit = recipe.players[name].component.name, getattr(player.net, "unfit_precisions", {})
        if not isinstance(unfit, Mapping):
            raise PluginError(f"unfit_precisions of '{who}' are to say what to do by precision, got {unfit!r:.60}")
        if remedy := unfit.get(precision):
            message = f"'{who}', player '{name}', fails in {precision}: {remedy}"
            yield Problem(recipe.where("trainer", "precision"), message)


def _one_sided_balances(recipe: Recipe, turns: Turns) -> Iterable[Problem]:
    """Balances that leave a phase without any turn when a player is too weak, or too strong."""
    for name, phase in recipe.phases.items():
        if phase.balance is None or not turns.keys() >= phase.turns.keys():
            continue
        player = phase.balance.player
        sides = {player in updated for turn in phase.turns if (updated := turns[turn].updates)}
        if len(sides) == 1:
            what = "every turn" if True in sides else "no turn"
            yield Problem(
                recipe.where("phases", name, "balance", "player"),
                f"{what} of phase '{name}' updates '{player}', so there is nothing to balance",
            )


def _odd_batches(
    recipe: Recipe, objective: Any, turns: Turns, players: Mapping[str, Player], processes: int
) -> Iterable[Problem]:
    """Batches that processes and micro-batches cannot share, or whose shares a network cannot take."""
    found = []
    always = getattr(objective, "needs", {})
    for name, phase in recipe.phases.items():
        size = phase.batch_size or recipe.trainer.batch_size
        played = [turns[turn] for turn in phase.turns if turn in turns]
        named = {player for turn in played for player in [*turn.updates, *getattr(turn, "needs", {}), *always]}
        asked = {
            f"player '{player}', by the options of {recipe.players[player].component.name},": batch_needs(it.net)
            for player, it in players.items()
            if player in named
        }
        if fault := _odd_batch(size, processes, recipe.trainer.accumulate, asked):
            path = ("phases", name) if phase.batch_size else ("trainer",)
            found.append(Problem(recipe.where(*path, "batch_size"), fault))
    return dict.fromkeys(found)  # phases may share the trainer's


def _odd_batch(size: int, processes: int, accumulate: int, asked: Mapping[str, tuple[int, int]]) -> str:
    """In words, why a batch cannot be taken by players that ask for so much, as ``batch_needs`` says; or nothing."""
    parts = processes * accumulate
    if size % parts:
        return (
            f"batch_size {size} is the batch of all processes together; it must be a multiple of "
            f"{processes} (processes) x {accumulate} (accumulate)"
        )
    rows = size // parts
    share = f" is {rows} row{'s' * (rows > 1)} on each process and in each micro-batch" if parts > 1 else ""
    if odd := [f"{who} takes rows in groups of {many}" for who, (many, _) in asked.items() if rows % many]:
        multiple = math.lcm(*(many for many, _ in asked.values())) * parts
        return f"batch_size {size}{share}, and {' and '.join(odd)}; take a multiple of {multiple}"
    if small := [f"{who} needs at least {least}" for who, (_, least) in asked.items() if rows * processes < least]:
        return f"batch_size {size}{share}, and {' and '.join(small)}; take a larger batch"
    return ""


def _no_log_ratios(
    recipe: Recipe, objective: Any, turns: Turns, players: Mapping[str, Player], sampler: Any
) -> Iterable[Problem]:
    """Players whose logits the sampler takes for log-ratios, and that learn to say something else, or nothing."""
    for player in [name for name in getattr(sampler, "log_ratios_of", ()) if name in players]:
        what = f"sampler '{recipe.sampler.name}' takes the logits of '{player}' for log-ratios of real to sampled rows"
        if not getattr(objective, "log_ratio", False):
            loss, why = getattr(objective, "loss", None), "; losses non_saturating and minimax do"
            if not hasattr(loss, "discriminator"):
                why = f", without such a loss{why}"
            elif getattr(loss, "log_ratio", False):
                why = ", whatever its loss, as it is set up here; play another"
            else:
                why = f" with its {name_of(loss)}{why}"
            yield Problem(
                recipe.where("sampler"),
                f"{what}, and objective '{recipe.objective.name}' does not teach them to be{why}",
            )
        elif not _learns(recipe, player, turns):
            teaching = sorted(name for name, turn in turns.items() if player in turn.updates)
            way = f"; add a phase that plays {any_of(teaching)}" if teaching else ""
            yield Problem(recipe.where("sampler"), f"{what}, and no turn of this recipe teaches it{way}")
        elif late := _taught_after(recipe, player, sampler, turns):
            phase, other = late
            yield Problem(
                recipe.where("sampler"),
                f"{what}, and phase '{phase}' updates '{other}' after the last that teaches '{player}', whose logits "
                "are of what it was before; teach it in the last phase",
            )
        elif (group := batch_needs(players[player].net)[0]) > 1:
            name = recipe.players[player].component.name
            yield Problem(recipe.where("sampler"), f"{what}, and '{name}' judges {group} rows together; take another")


def _learns(recipe: Recipe, player: str, turns: Turns) -> bool:
    """Whether a player, or the one that it is a copy of, is taught by a turn that is played."""
    original = recipe.players[player].original
    taught = any(player in turns[turn].updates for _, turn in _played(recipe, turns))
    return taught or (original is not None and _learns(recipe, original, turns))


def _taught_after(recipe: Recipe, player: str, sampler: Any, turns: Turns) -> tuple[str, str] | None:
    """A later phase than the last that teaches ``player``, and whom it teaches that the sampler draws with."""
    learners = {
        name: {it for turn in phase.turns if turn in turns for it in turns[turn].updates}
        for name, phase in recipe.phases.items()
    }
    after: list[tuple[str, str]] = []
    for name, taught in learners.items():
        here = [(name, other) for other in getattr(sampler, "networks", ()) if other in taught]
        after = [] if player in taught else after + here
    return after[0] if after else None


def _played(recipe: Recipe, turns: Turns) -> list[tuple[str, str]]:
    """(phase, turn) of every turn that the recipe plays and the objective has."""
    return [(name, turn) for name, phase in recipe.phases.items() for turn in phase.turns if turn in turns]
