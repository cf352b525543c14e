"""A number that may change over a phase, or over the whole run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, get_args

from gangen.errors import UsageError, did_you_mean

if TYPE_CHECKING:  # recipes are read without torch
    from gangen.contracts import Clock

Shape = Literal["linear", "cosine", "exponential"]
Span = Literal["phase", "run"]


@dataclass(frozen=True)
class Schedule:
    """From ``start`` to ``end`` (``start`` where None) as a phase, or with ``over: run`` all of them, runs from 0 to 1.

    During the first ``warmup`` of that span the value rises linearly from 0 to ``start``; from ``until`` on it stays at
    ``end``; the shape runs in between. With t the fraction of the way there, ``linear`` is start + (end - start) t,
    ``cosine`` is end + (start - end) (1 + cos(pi t)) / 2 (Loshchilov and Hutter, 2017, eq. 5, one cycle), and
    ``exponential`` is start (end / start)^t.

    Raises:
        UsageError: a value that cannot be a schedule.
    """

    start: float
    end: float | None = None
    shape: Shape = "linear"
    warmup: float = 0.0
    until: float = 1.0
    over: Span = "phase"

    def __post_init__(self) -> None:
        for name in ("start", "end", "warmup", "until"):
            value = getattr(self, name)
            if not _is_number(value) and not (name == "end" and value is None):
                raise UsageError(f"a schedule's {name} must be a finite number, got {value!r}")
        if self.shape not in get_args(Shape):
            raise UsageError(f"a schedule's shape must be linear, cosine or exponential, got {self.shape!r}")
        if self.over not in get_args(Span):
            raise UsageError(f"a schedule goes over a phase or the run, got {self.over!r}")
        if not 0 <= self.warmup <= 1:
            raise UsageError(f"a schedule's warmup is a fraction, between 0 and 1, got {self.warmup!r}")
        if not (self.warmup < self.until <= 1 or self.until == 1):
            raise UsageError(f"a schedule's until must be greater than its warmup and at most 1, got {self.until!r}")
        if self.shape == "exponential" and self.start * self._end <= 0:
            raise UsageError("an exponential schedule needs start and end of one sign, neither of them 0")

    @property
    def _end(self) -> float:
        return self.start if self.end is None else self.end

    @classmethod
    def of(cls, value: "Schedule | float | Mapping[str, Any]") -> "Schedule":
        """The schedule that a number, or a mapping of ``start`` and other fields, stands for."""
        if isinstance(value, Schedule):
            return value
        if not isinstance(value, Mapping):
            if not _is_number(value):
                raise UsageError(f"must be a number or a mapping with a start, got {value!r}")
            return cls(value)
        known = [field.name for field in fields(cls)]
        for key in value:
            if key not in known:
                raise UsageError(f"unknown key {key!r} in a schedule{did_you_mean(str(key), known)}")
        if "start" not in value:
            raise UsageError("a schedule needs a start")
        return cls(**value)

    @property
    def _turning_points(self) -> list[float]:
        return [self.start, self._end] + ([0.0] if self.warmup else [])

    def __ge__(self, bound: float) -> bool:
        """As every comparison with a number: whether it holds at all times."""
        return min(self._turning_points) >= bound

    def __gt__(self, bound: float) -> bool:
        return min(self._turning_points) > bound

    def __le__(self, bound: float) -> bool:
        return max(self._turning_points) <= bound

    def __lt__(self, bound: float) -> bool:
        return max(self._turning_points) < bound

    def __call__(self, when: "Clock | float") -> float:
        """The value by a turn's clock, or at a fraction of the span; one outside of [0, 1] counts as the nearer end."""
        if self.end is None and not self.warmup:
            return float(self.start)
        if not isinstance(when, int | float):
            when = when.run_fraction if self.over == "run" else when.fraction
        fraction = min(max(when, 0.0), self.until)
        if fraction < self.warmup:
            return self.start * fraction / self.warmup
        t = (fraction - self.warmup) / (self.until - self.warmup) if self.warmup < 1 else 0.0
        start, end = float(self.start), float(self._end)
        match self.shape:
            case "linear":
                return start + (end - start) * t
            case "cosine":
                return end + (start - end) * (1 + math.cos(math.pi * t)) / 2
            case "exponential":
                return start * (end / start) ** t

    def to_plain(self) -> float | dict[str, Any]:
        """What a recipe says for this schedule: the number itself where it never changes."""
        if self == Schedule(self.start):
            return self.start
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import PydanticCustomError, core_schema

        def validate(value: Any) -> Schedule:
            try:
                return cls.of(value)
            except UsageError as error:
                raise PydanticCustomError("schedule", "{message}", {"message": str(error)}) from None

        return core_schema.no_info_plain_validator_function(validate)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        number = {"type": "number"}
        properties = {
            "start": number,
            "end": number,
            "shape": {"enum": list(get_args(Shape))},
            "warmup": {"type": "number", "minimum": 0, "maximum": 1},
            "until": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            "over": {"enum": list(get_args(Span))},
        }
        mapping = {"type": "object", "properties": properties, "required": ["start"], "additionalProperties": False}
        return {"anyOf": [number, mapping]}


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
