"""Networks: what a generator, a discriminator and an encoder owe to games, samplers and the trainer."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gangen import noise
from gangen.contracts import Batch, sheet_rows
from gangen.networks import batch_needs, evaluating, judges_all, load_state, state_of, trainable
from gangen.testing.subject import Subject, alike, batch_of, by_rows, data_of, part_of, real_rows

# By how much noise a condition may show in samples that are no floats, as tokens.
SEEDS = 40

# What a network makes of rows of a batch.
Ask = Callable[[nn.Module, slice], Tensor]


def check_generator(
    generator: str | type,
    data: Any,
    /,
    *,
    real_column: str | None = None,
    spec: str | None = None,
    heeds_condition: bool = True,
    elsewhere: Sequence[str] = (),
    **options: Any,
) -> None:
    """``sample(n, condition)`` makes rows as those of ``data``: finite, repeatable, each a function of its own noise
    and condition, with a gradient to all weights where they are floats; and a saved one makes the same.

    It must heed what prompts say, labels or an input, but with ``heeds_condition=False``. ``real_column`` has the real
    rows of a batch, where these are neither the codec's ``samples_of`` nor the first column; ``spec`` is the part of
    the data's description that it is built for, where that has parts; names of weights that other methods use begin as
    ``elsewhere`` says. Raises AssertionError where it breaks its contract.
    """
    it = _Checked("generators", generator, data, real_column, spec, elsewhere, options)
    net, size = it.net, it.size
    it.expect(hasattr(net, "sample"), "a generator has sample(n, condition)")

    def ask(net: Any, rows: slice) -> Tensor:
        return net.sample(len(range(size)[rows]), part_of(it.batch, rows))

    with it.drawing(), noise.shared(1):
        made = ask(net, slice(size))
    it.expect(
        isinstance(made, Tensor) and len(made) == size,
        "sample(n, condition) returns a tensor of n rows",
        f"{list(made.shape)} for n = {size}" if isinstance(made, Tensor) else type(made).__name__,
    )
    if spec is None:
        it.expect(
            made.shape[1:] == it.real.shape[1:] and made.is_floating_point() == it.real.is_floating_point(),
            "samples have the form of real rows",
            f"{list(made.shape[1:])} of {made.dtype}, and real are {list(it.real.shape[1:])} of {it.real.dtype}",
        )
    it.check(ask, ["condition"] if heeds_condition else [])
    with evaluating(net):
        with noise.shared(7):
            whole = ask(net, slice(size))
        halves = []
        for part in range(2):
            with noise.shared(7, part, 2):
                halves.append(ask(net, slice(part * size // 2, (part + 1) * size // 2)))
    it.expect(
        alike(torch.cat(halves), whole),
        "a process or micro-batch that samples some rows of the batch draws what these rows have in the whole: "
        "noise of n rows is gangen.noise.normal(n, ...), the batch slowest",
    )


def check_discriminator(
    discriminator: str | type,
    data: Any,
    /,
    *,
    real_column: str | None = None,
    spec: str | None = None,
    heeds_condition: bool = True,
    elsewhere: Sequence[str] = (),
    **options: Any,
) -> None:
    """``forward(rows, condition)``, or of ``rows`` alone, judges each row, or each pack of neighbours, by itself:
    finite floats, with a gradient to all weights and to rows of floats; and a saved one says the same.

    Rows count in multiples of its ``batch_multiple``. With ``heeds_condition=False`` it is asked about rows alone. The
    rest is as in ``check_generator``.
    """
    it = _Checked("discriminators", discriminator, data, real_column, spec, elsewhere, options)
    conditional = heeds_condition and it.positions > 1
    ask = it.forward(conditional)
    logits = ask(it.net, slice(it.size))
    it.expect(
        isinstance(logits, Tensor) and logits.is_floating_point() and judges_all(logits, it.size, it.net),
        "forward(rows, condition) returns logits, float [B], or [B, parts], one for each row, or for each pack of "
        "rows, of which batch_multiple has whole ones",
        f"{list(logits.shape)} of {logits.dtype} for {it.size} rows" if isinstance(logits, Tensor) else type(logits),
    )
    it.check(ask, ["rows", "condition"] if conditional else ["rows"])


def check_encoder(
    encoder: str | type,
    data: Any,
    /,
    *,
    real_column: str | None = None,
    spec: str | None = None,
    elsewhere: Sequence[str] = (),
    **options: Any,
) -> None:
    """``forward(rows)``, or of rows and a condition, maps each row by itself to latent variables, a tensor or several;
    the rest is as in ``check_discriminator``.
    """
    it = _Checked("encoders", encoder, data, real_column, spec, elsewhere, options)
    said = it.forward(it.positions > 1)
    made: Any = said(it.net, slice(it.size))
    several = made if isinstance(made, tuple | list) else [made]
    it.expect(
        several and all(isinstance(part, Tensor) and part.shape[:1] == (it.size,) for part in several),
        "forward(rows) returns tensors of as many rows, or one",
        ", ".join(str(list(part.shape)) if isinstance(part, Tensor) else type(part).__name__ for part in several),
    )

    def ask(net: nn.Module, rows: slice) -> Tensor:
        made: Any = said(net, rows)
        return torch.cat([it.flatten(1) for it in made], dim=1) if isinstance(made, tuple | list) else made

    it.check(ask, ["rows"])


class _Checked(Subject):
    """A network with weights of no special value, and a batch for it."""

    def __init__(
        self,
        kind: str,
        component: Any,
        data: Any,
        real: str | None,
        spec: str | None,
        elsewhere: Sequence[str],
        options: Any,
    ) -> None:
        super().__init__(kind, component, options)
        self.elsewhere = tuple(elsewhere)
        self.data = data_of(data)
        description = self.data.codec.spec
        self.at_hand = {"spec": description if spec is None else description[spec]}
        self.net: Any = _shaken(self.build(**self.at_hand))
        multiple, least = batch_needs(self.net)
        self.looks_at_rows = False
        self.group = multiple * max(2, -(-least // multiple))
        self.size = 4 * self.group
        self.batch = dict(batch_of(self.data, self.size))
        self.real = real_rows(self.data, self.batch, real)

    @property
    def positions(self) -> int:
        """How many arguments its ``forward`` takes by position."""
        parameters = inspect.signature(self.net.forward).parameters.values()
        return sum(it.kind in (it.POSITIONAL_ONLY, it.POSITIONAL_OR_KEYWORD) for it in parameters)

    def forward(self, conditional: bool) -> Ask:
        """What asks about real rows, from which a gradient is expected then."""
        self.looks_at_rows = True

        def ask(net: nn.Module, rows: slice) -> Tensor:
            return net(self.real[rows], *[part_of(self.batch, rows)] * conditional)

        return ask

    def check(self, ask: Ask, heeding: Sequence[str]) -> None:
        """What all networks owe; ``heeding`` says what must make a difference: "rows", "condition"."""
        self._check_gradients(ask)
        self._check_rows(ask)
        for what in heeding:
            self._check_heeded(ask, what)
        self._check_saved(ask)
        with torch.autocast("cpu", torch.bfloat16), noise.shared(1):
            made = ask(self.net, slice(self.size))
        self.expect(made.isfinite().all(), "under autocast to bfloat16 what it makes is finite")

    def _answer(self, ask: Ask, net: nn.Module, rows: slice, seed: int = 0) -> Tensor:
        with evaluating(net), noise.shared(seed), by_rows(len(range(self.size)[rows]), seed):
            return ask(net, rows)

    def _check_rows(self, ask: Ask) -> None:
        whole = self._answer(ask, self.net, slice(self.size))
        again = self._answer(ask, self.net, slice(self.size))
        self.expect(torch.equal(whole, again), "in evaluation mode the same rows and noise give the same numbers")
        few = self._answer(ask, self.net, slice(self.group))
        self.expect(
            alike(whole[: len(few)], few),
            "in evaluation mode a row is a function of its own noise and condition, whatever rows stand beside it: it "
            f"is the same in a batch of {self.group}",
        )

    def _check_gradients(self, ask: Ask) -> None:
        net, real = self.net, self.real
        if real.is_floating_point():
            self.real = real.detach().requires_grad_()
        try:
            with noise.shared(1):
                made = ask(net, slice(self.size))
            self.expect(made.isfinite().all(), "what it makes is finite")
            if not made.is_floating_point():
                return
            learning = trainable(net)
            looked_at = [self.real] if self.looks_at_rows and self.real.requires_grad else []
            weights = torch.randn(made.shape, generator=torch.Generator().manual_seed(0))
            self.expect(made.requires_grad, "what it makes depends on its weights")
            gradients = torch.autograd.grad((made * weights).sum(), [*learning, *looked_at], allow_unused=True)
        finally:
            self.real = real
        names = {id(parameter): name for name, parameter in net.named_parameters()}
        found = dict(zip([names[id(parameter)] for parameter in learning], gradients, strict=False))
        lost = [name for name, it in found.items() if it is None and not name.startswith(self.elsewhere)]
        self.expect(
            not lost,
            "a gradient reaches all weights that learn (elsewhere=[...] has the beginnings of the names of those that "
            "other methods use)",
            f"none at {', '.join(lost[:5])}",
        )
        if odd := [name for name, it in found.items() if it is not None and not it.isfinite().all()]:
            self.expect(False, "gradients are finite", f"not those of {', '.join(odd[:5])}")
        if looked_at:
            self.expect(
                gradients[-1] is not None and gradients[-1].any(),
                "a gradient reaches the rows, from which whoever made them learns",
            )

    def _check_heeded(self, ask: Ask, what: str) -> None:
        """Another condition, or other rows, in the first half make a difference there, and nowhere else."""
        batch, real, half = self.batch, self.real, self.size // 2
        other = {} if what == "rows" else self._other_conditions(half)
        if what != "rows" and not other:
            return
        differs = False
        for seed in range(1 if self.real.is_floating_point() else SEEDS):
            before = self._answer(ask, self.net, slice(self.size), seed)
            try:
                self.batch = {**batch, **other}
                self.real = torch.cat([real[half:], real[half:]]) if what == "rows" else real
                after = self._answer(ask, self.net, slice(self.size), seed)
            finally:
                self.batch, self.real = batch, real
            second = len(before) // 2
            self.expect(alike(before[second:], after[second:]), f"a row does not depend on the {what} of others")
            differs = differs or not alike(before[:second], after[:second])
            if differs:
                return
        hint = "" if what == "rows" else " (heeds_condition=False for one that has no use for it)"
        self.expect(False, f"what it makes depends on the {what}{hint}")

    def _other_conditions(self, half: int) -> dict[str, Tensor]:
        """What prompts say, in the first half of the batch another than there is; nothing where all say the same."""
        prompts = [row.condition for row in sheet_rows(self.data)[:1]]
        names = [name for name in self.batch if prompts and name in prompts[0]]
        pool = batch_of(self.data, 16 * self.size)
        chosen = [
            next((j for j in range(16 * self.size) if any(_unlike(self.batch, pool, name, i, j) for name in names)), -1)
            for i in range(half)
        ]
        if -1 in chosen:
            return {}
        return {name: torch.cat([pool[name][chosen], self.batch[name][half:]]) for name in names}

    def _check_saved(self, ask: Ask) -> None:
        kept = {name: tensor.clone() for name, tensor in state_of(self.net).items()}
        other: Any = self.build(1, **self.at_hand)
        try:
            load_state(other, kept)
        except RuntimeError as error:
            self.expect(False, "what is saved of it can be loaded by one that was built by the same options", error)
        rows = slice(self.size)
        self.expect(
            alike(self._answer(ask, self.net, rows), self._answer(ask, other, rows)),
            "what it has learned is in its state_dict, and so is what was drawn when it was built: another one that "
            "loads that makes the same",
        )


def _shaken(net: Any) -> Any:
    """Weights as if something had been learned: at first many are zeros or ones, behind which much hides."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in trainable(net):
            spread = 0.5 / parameter[0].numel() ** 0.5 if parameter.dim() > 1 else 0.1
            parameter.add_(spread * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return net


def _unlike(one: Batch, other: Batch, name: str, i: int, j: int) -> bool:
    return not torch.equal(one[name][i], other[name][j])
