"""The evaluation of a run that was trained: the figures of its metrics, and its frontiers beside its baseline's."""

import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from gangen.components.messages import problems_of
from gangen.components.options import Use, read_use
from gangen.components.registry import Registry, name_of
from gangen.contracts import Metric, SheetRow
from gangen.errors import RecipeError, RunError, UsageError, did_you_mean
from gangen.evaluation.results import Frontier, Request, Result, Sweeps
from gangen.evaluation.watch import Watch
from gangen.metrics.context import MetricContext, evaluate, joined, measure
from gangen.metrics.figures import Figure
from gangen.metrics.tradeoff import Row, Tradeoff
from gangen.noise import mix
from gangen.printing import say
from gangen.recipe.load import load_recipe
from gangen.recipe.sections import Recipe
from gangen.run_directory import RunDirectory
from gangen.samplers import defaults_of, settings_of
from gangen.saved_model import read_model, unasked_code
from gangen.training import checkpoint
from gangen.training.assemble import build_context, build_data, build_metrics, build_players
from gangen.training.data_digests import digests_of

Figures = dict[str, Figure]


class Trained:
    """A run that can be evaluated. What can be known to fail without its data fails here; no code of the run is run.

    Raises:
        RunError: no run is in ``folder``, or none that came to a checkpoint.
        UsageError: a metric that was asked for is not installed or not in the recipe, or an option is refused.
    """

    def __init__(self, folder: Path | str, request: Request, registry: Registry) -> None:
        self.run = RunDirectory(folder)
        self.registry = registry
        self.request = request
        if not self.run.recipe.is_file():
            raise RunError(f"{folder} is no run: it has no recipe.yaml\nname the folder that a recipe was played in")
        self.run.refuse_ways_out()
        try:
            self.played = load_recipe(self.run.recipe, registry=registry, run_code=False)
        except RecipeError as error:
            raise RunError(
                f"{error}\nthis run's recipe cannot be read{unasked_code(self.run.model, registry)}"
            ) from None
        # Replaced in the recipe, so that metrics are built and refused as they are before training.
        self.recipe = self.played.with_metrics(list(_chosen(self.played, request, registry)))
        for words in [*self.played.remarks, *registry.tell_renamed()]:
            say(f"gangen: {words}", sys.stderr)
        newest, self.damaged = checkpoint.newest_whole(self.run.checkpoints, torch.device("cpu"))
        if newest is None:
            raise RunError(f"{folder} has no checkpoint to evaluate\ngo on with the run until it has written one")
        self.checkpoint = newest

    def evaluate(self, *, quiet: bool = True) -> Result:
        """Measure, and write ``evaluation.json``; not to be ``quiet`` is to say on standard error how far it is.

        Raises:
            RunError: a checkpoint or model is damaged, or codec or networks are not those of the run.
            UsageError: the players or data lack what a metric needs, or there is no setting to sweep.
        """
        with Watch(str(self.run.root), quiet=quiet) as self._watch:
            return self._evaluate()

    def _evaluate(self) -> Result:
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        device = accelerator or torch.device("cpu")
        data = build_data(self.recipe, self.registry, device)
        codec, rows = checkpoint.compare_data(digests_of(data), self.checkpoint)
        if codec:
            differ = ", ".join([*codec, *rows])
            raise RunError(f"the data are not those that {self.run.root} was trained with: {differ}\nput them back")
        players, _, _ = build_players(self.recipe, self.registry, data, device, saved=self.checkpoint)
        context = build_context(self.recipe, self.registry, data, players, device)
        metrics = self._metrics(context)
        for words in self.damaged:
            context.warn(words)
        if rows:
            context.warn(f"the data are not those that the run was trained with: {', '.join(rows)}")
        tradeoffs = self._tradeoffs(metrics, context)
        step = checkpoint.restore_weights(players, self.checkpoint)
        found = []
        for metric in self._watch.over(metrics, name_of):
            found.append(measure(metric, context))
            self._watch.found(found[-1])
        if changed := self.run.changed_extractors(context.extractors):
            advice = f"move {self.run.extractors} away to measure anew"
            raise RunError("\n".join([*changed, advice]))
        taken = [metric for metric, figures in zip(metrics, found, strict=True) if figures]
        self._render(taken, context)
        protocols = [metric.protocol(context) if hasattr(metric, "protocol") else {} for metric in metrics]
        figures = joined(found, context)
        result = Result(
            run=str(self.run.root),
            seed=self.recipe.seed,
            step=step,
            recipe=self.played.to_dict(),
            recipe_sha256=hashlib.sha256(self.run.recipe.read_bytes()).hexdigest(),
            metrics=[
                use.to_plain() | ({"protocol": protocol} if protocol else {})
                for use, protocol in zip(self.recipe.metrics, protocols, strict=True)
            ],
            extractors=context.extractors,
            warnings=context.warnings,
            figures=figures,
            remarks=context.remarks,
            frontiers=self._frontiers(tradeoffs, metrics, found, figures, context),
        )
        result.write(self.run.evaluation)
        return result

    def _metrics(self, context: MetricContext) -> list[Metric]:
        """Those to take; what was asked for beside the recipe has no place in it that an error could name."""
        try:
            return build_metrics(self.recipe, self.registry, context)
        except RecipeError as error:
            if not self.request.metrics and self.request.samples is None:
                raise
            messages = "\n".join([*(problem.message for problem in error.problems), *getattr(error, "__notes__", ())])
            raise UsageError(f"{self.run.root} cannot be measured as asked (--metric, --samples)\n{messages}") from None

    def _render(self, metrics: list[Metric], context: MetricContext) -> None:
        """Write the sheets of samples that metrics find worth looking at."""
        codec = context.data.codec
        for metric in metrics:
            for name, sheet in metric.sheets(context).items() if hasattr(metric, "sheets") else ():
                self.run.samples.mkdir(exist_ok=True)
                for left in self.run.samples.glob(f"{name}*"):
                    if left.is_symlink():  # a codec may write through it
                        left.unlink()
                rows = [SheetRow(title, samples=codec.decode(samples)) for title, samples in sheet.items()]
                codec.render(rows, self.run.samples / name)

    def _tradeoffs(self, metrics: list[Metric], context: MetricContext) -> list[Tradeoff]:
        """Those that metrics declare, where there is anything to sweep. Raises UsageError as ``_swept`` does."""
        if self.request.sweep is not None and not self.request.sweep:
            return []
        declared = {it.figures: it for metric in metrics if (it := getattr(metric, "tradeoff", None)) is not None}
        if self.request.sweep and not declared:
            raise self._without_tradeoff()
        return [it for tradeoff in declared.values() if (it := self._swept(tradeoff, context)).sweeps]

    def _without_tradeoff(self) -> UsageError:
        return UsageError(
            f"{self.run.root}: no two of its metrics are a quality and the diversity it is traded against\n"
            "name both with --metric, or leave --sweep out"
        )

    def _frontiers(
        self,
        tradeoffs: list[Tradeoff],
        metrics: list[Metric],
        found: list[Figures],
        figures: Figures,
        context: MetricContext,
    ) -> list[Frontier]:
        """Of each trade-off that ``figures`` have both of."""
        tradeoffs = [it for it in tradeoffs if set(it.figures) <= figures.keys()]
        if self.request.sweep and not tradeoffs:
            raise self._without_tradeoff()
        if not tradeoffs:
            return []
        reporting = [(metric, own.keys()) for metric, own in zip(metrics, found, strict=True)]
        seed, phase = self.recipe.seed, self._baseline_phase()
        sides: list[list[Any]] = [_drawn(tradeoffs, reporting, context, seed, self._watch, unset=figures)]
        if phase is not None:
            for name, earlier in read_model(self.run.phases / phase, self.registry, context.device).networks.items():
                context.players.averaged(name).load_state_dict(earlier.state_dict())
            alone = getattr(context.sampler, "plain", {})
            sides.append(_drawn(tradeoffs, reporting, context, seed, self._watch, alone=alone))
            own = [[sweep for sweep in it.sweeps.items() if sweep[0] not in alone] for it in tradeoffs]
            first = [replace(it, sweeps=dict(sweeps[:1])) for it, sweeps in zip(tradeoffs, own, strict=True)]
            sides.append(_drawn(first, reporting, context, mix(seed, "again"), self._watch, alone=alone))
        else:
            sides += [[None] * len(tradeoffs)] * 2
        real = {name: figure.real for name, figure in figures.items() if figure.real is not None}
        return [
            Frontier(tradeoff, model, phase, baseline, again, _only(tradeoff.figures, real))
            for tradeoff, model, baseline, again in zip(tradeoffs, *sides, strict=True)
        ]

    def _swept(self, tradeoff: Tradeoff, context: MetricContext) -> Tradeoff:
        """``tradeoff`` with the sweeps that were asked for, of settings that the sampler has.

        Raises UsageError where it lacks one that was asked for.
        """
        known, asked = settings_of(context.sampler.sample), self.request.sweep
        if asked is None:
            return replace(tradeoff, sweeps={it: values for it, values in tradeoff.sweeps.items() if it in known})
        first = next(iter(tradeoff.sweeps))
        if "" in asked and first in asked:
            raise UsageError(f"--sweep {first} is given twice, once without its name: put its values into one")
        sweeps = {name or first: tuple(values) for name, values in asked.items()}
        for name in sweeps:
            if name not in known:
                hint = did_you_mean(name, known)
                raise UsageError(f"{self.run.root}: its sampler has no {name} to sweep{hint}\nleave --sweep out")
            for value in sweeps[name]:
                try:
                    TypeAdapter(known[name]).validate_python(value, strict=True)
                except ValidationError as error:
                    words = error.errors()[0]["msg"]
                    raise UsageError(f"--sweep {name}: {value} is no value of it: {words}") from None
        return replace(tradeoff, sweeps=sweeps)

    def _baseline_phase(self) -> str | None:
        """The last phase before the last one."""
        earlier = list(self.recipe.phases)[:-1]
        return next((name for name in reversed(earlier) if (self.run.phases / name).is_dir()), None)


def _drawn(
    tradeoffs: Sequence[Tradeoff],
    reporting: Sequence[tuple[Metric, Set[str]]],
    context: MetricContext,
    seed: int,
    watch: Watch,
    *,
    alone: Mapping[str, Any] | None = None,
    unset: Mapping[str, Figure] | None = None,
) -> list[Sweeps]:
    """The points of each trade-off; samples are drawn once for all trade-offs that sweep a setting over a value.

    ``reporting`` are metrics, each with the names of its figures. ``alone`` are settings with which a sampler draws by
    its generator alone; these are not swept. ``unset`` are figures where nothing is set: what every sweep goes through
    that has a setting's default among its values.
    """
    alone = alone or {}
    plain = {name: figure.value for name, figure in (unset or {}).items()}
    defaults = defaults_of(context.sampler.sample)
    rows: dict[tuple[str, float], Row] = {}
    places = [(setting, value) for it in tradeoffs for setting, values in it.sweeps.items() for value in values]
    places = [place for place in dict.fromkeys(places) if place[0] not in alone]
    for setting, value in watch.over(places, lambda place: f"at {place[0]} {place[1]:g}"):
        wanted = {name for it in tradeoffs if value in it.sweeps.get(setting, ()) for name in it.figures}
        if value == defaults[setting] and wanted <= plain.keys():
            rows[setting, value] = plain
            continue
        here = context.sampled(seed, {**alone, setting: value})
        metrics = [metric for metric, names in reporting if not names.isdisjoint(wanted)]
        row = {name: figure.value for name, figure in evaluate(metrics, here).items()}
        for warning in [warning for warning in here.warnings if warning not in context.warnings]:
            context.warn(f"at {setting} {value:g}: {warning}")
        rows[setting, value] = row
        if value == defaults[setting]:
            plain |= row
    return [
        {
            setting: [{setting: value} | _only(it.figures, rows[setting, value]) for value in values]
            for setting, values in it.sweeps.items()
            if setting not in alone
        }
        for it in tradeoffs
    ]


def _only(names: Iterable[str], row: Row) -> dict[str, float]:
    return {name: row[name] for name in names if name in row}


def _chosen(recipe: Recipe, request: Request, registry: Registry) -> Iterable[Use]:
    """The metrics to take: the recipe's, or those asked for with the options that they have in the recipe."""
    uses = recipe.metrics
    if request.metrics:
        uses = []
        for wanted in request.metrics:
            name = registry.find("metrics", wanted).name if isinstance(wanted, str) else None
            own = [use for use in recipe.metrics if use.name == name]
            uses += [use for use in own or [_use(wanted, registry)] if use not in uses]
    if not uses:
        raise UsageError(f"{recipe.source} names no metrics\nname some, as in --metric NAME,NAME; see: gangen plugins")
    for use in uses:
        counted = request.samples is not None and "samples" in use.options
        yield _use(use.to_plain() | {"samples": request.samples}, registry) if counted else use


def _use(value: Any, registry: Registry) -> Use:
    try:
        return read_use("metrics", value, registry)
    except ValidationError as error:
        name = value if isinstance(value, str) else value.get("use", value)
        raise UsageError(f"metric {name}: " + "; ".join(message for _, message in problems_of(error))) from None
