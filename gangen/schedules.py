"""A number that may change over a phase."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from gangen.errors import UsageError, did_you_mean

Shape = Literal["linear", "cosine", "exponential"]


@dataclass(frozen=True)
class Schedule:
    """From ``start`` to ``end`` (``start`` where None) as a phase runs from fraction 0 to 1.

    During the first ``warmup`` of the phase the value rises linearly from 0 to ``start``; the shape runs over the rest.
    With t the fraction of that rest, ``linear`` is start + (end - start) t, ``cosine`` is
    end + (start - end) (1 + cos(pi t)) / 2 (Loshchilov and Hutter, 2017, eq. 5, one cycle), and ``exponential`` is
    start (end / start)^t.

    Raises:
        UsageError: a value that cannot be a schedule.
    """

    start: float
    end: float | None = None
    shape: Shape = "linear"
    warmup: float = 0.0

    def __post_init__(self) -> None:
        for name in ("start", "end", "warmup"):
            value = getattr(self, name)
            if not _is_number(value) and not (name == "end" and value is None):
                raise UsageError(f"a schedule's {name} must be a finite number, got {value!r}")
        if self.shape not in get_args(Shape):
            raise UsageError(f"a schedule's shape must be linear, cosine or exponential, got {self.shape!r}")
        if not 0 <= self.warmup <= 1:
            raise UsageError(f"a schedule's warmup is a fraction of the phase, between 0 and 1, got {self.warmup!r}")
        if self.shape == "exponential" and self.start * self._end <= 0:
            raise UsageError("an exponential schedule needs start and end of one sign, neither of them 0")

    @property
    def _end(self) -> float:
        return self.start if self.end is None else self.end

    @classmethod
    def of(cls, value: "Schedule | float | Mapping[str, Any]") -> "Schedule":
        """The schedule that a number, or a mapping of ``start``, ``end``, ``shape`` and ``warmup``, stands for."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            if not _is_number(value):
                raise UsageError(f"must be a number or a mapping of start, end, shape and warmup, got {value!r}")
            return cls(value)
        known = [field.name for field in fields(cls)]
        for key in value:
            if key not in known:
                raise UsageError(f"unknown key {key!r} in a schedule{did_you_mean(str(key), known)}")
        if "start" not in value:
            raise UsageError("a schedule needs a start")
        return cls(**value)

    def __call__(self, fraction: float) -> float:
        """The value at ``fraction`` of the phase; a fraction outside of [0, 1] counts as the nearer end."""
        fraction = min(max(fraction, 0.0), 1.0)
        if fraction < self.warmup:
            return self.start * fraction / self.warmup
        t = (fraction - self.warmup) / (1 - self.warmup) if self.warmup < 1 else 0.0
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
        }
        mapping = {"type": "object", "properties": properties, "required": ["start"], "additionalProperties": False}
        return {"anyOf": [number, mapping]}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
