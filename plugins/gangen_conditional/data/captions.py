"""Captions of scenes: written in varied words, understood again, and judged by what is there."""

import random
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from gangen_conditional.data.scenes import COLOURS, SHAPES

WORDS_OF_SIZE = {"small": 0, "little": 0, "large": 1, "big": 1}
ABOVE, BELOW, LEFT, RIGHT = range(4)
RELATIONS = {
    "above": ABOVE,
    "over": ABOVE,
    "below": BELOW,
    "under": BELOW,
    "left of": LEFT,
    "to the left of": LEFT,
    "right of": RIGHT,
    "to the right of": RIGHT,
}
OPPOSITE = {ABOVE: BELOW, BELOW: ABOVE, LEFT: RIGHT, RIGHT: LEFT}
OPENINGS = ("", "there is ", "a picture of ")
WORDS = sorted(
    {word for text in (*WORDS_OF_SIZE, *COLOURS, *SHAPES, *RELATIONS, *OPENINGS, "is and") for word in text.split()}
)
EXAMPLE = "a small red circle above a blue square"

_THING = rf"a (?:({'|'.join(WORDS_OF_SIZE)}) )?({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})"
_RELATION = f"({'|'.join(RELATIONS)})"
_FORWARD = re.compile(
    rf"(?:there is |a picture of )?{_THING}(?:(?: is)? {_RELATION} {_THING}(?: and {_RELATION} {_THING})?)?"
)
_INVERTED = re.compile(rf"{_RELATION} {_THING} (?:there )?is {_THING}")

Object = Sequence[int]


class Thing(NamedTuple):
    """An object as a caption has it; ``size`` is None where it does not say."""

    shape: int
    colour: int
    size: int | None


class Said(NamedTuple):
    """What a caption says: objects, and how the first stands to others, each by number: (relation, object)."""

    things: tuple[Thing, ...]
    relations: tuple[tuple[int, int], ...]


class Verdict(NamedTuple):
    """What of a caption is right about a scene.

    ``objects`` says that those of the scene are the ones it names, by colour and shape, and no others; ``sizes`` and
    ``relations`` that besides all it says of these is so.
    """

    objects: bool
    sizes: bool
    relations: bool

    @property
    def all(self) -> bool:
        return self.sizes and self.relations


def write(objects: Sequence[Object], chance: random.Random, sized: Sequence[bool]) -> str:
    """A caption of the objects of a scene, by their numbers as in ``scenes``; it says the size of those ``sized``."""
    names = [_name(it, chance, it_sized) for it, it_sized in zip(objects, sized, strict=True)]
    opening = chance.choice(OPENINGS)
    if len(objects) == 1:
        return opening + names[0]
    first, *others = range(len(objects))
    if len(objects) == 2 and chance.random() < 0.5:
        first, others = 1, [0]
    chance.shuffle(others)
    related = [f"{_relation(objects[first], objects[it], chance)} {names[it]}" for it in others]
    if len(objects) == 2 and chance.random() < 0.25:
        return f"{related[0]} {chance.choice(('there is', 'is'))} {names[first]}"
    verb = "is " if not opening and chance.random() < 0.5 else ""
    return f"{opening}{names[first]} {verb}{' and '.join(related)}"


def understand(caption: str) -> Said | None:
    """What a caption says; None where it is none that ``write`` could have written."""
    if found := _INVERTED.fullmatch(caption):
        relation, *parts = found.groups()
        other, first = _things(parts)
        return Said((first, other), ((RELATIONS[relation], 1),))
    if not (found := _FORWARD.fullmatch(caption)):
        return None
    parts = found.groups()
    things = _things(parts[:3] + parts[4:7] + parts[8:])
    relations = [RELATIONS[word] for word in (parts[3], parts[7]) if word]
    return Said(tuple(things), tuple(zip(relations, (1, 2), strict=False)))


def judge(said: Said | None, objects: Sequence[Object]) -> Verdict:
    """``said`` against the objects that are there; those of shape -1 are like none that a caption names."""
    if said is None or Counter(it[:2] for it in said.things) != Counter((it[0], it[1]) for it in objects):
        return Verdict(False, False, False)
    by_kind = {(it[0], it[1]): it for it in objects}
    there = [by_kind[it[:2]] for it in said.things]
    sizes = all(thing.size in (None, it[2]) for thing, it in zip(said.things, there, strict=True))
    return Verdict(True, sizes, all(stands(there[0], there[other]) == relation for relation, other in said.relations))


def stands(one: Object, other: Object) -> int:
    """How ``one`` stands to ``other``, by the axis along which they are farther apart."""
    right, down = one[3] - other[3], one[4] - other[4]
    if abs(right) > abs(down):
        return RIGHT if right > 0 else LEFT
    return BELOW if down > 0 else ABOVE


def _name(it: Object, chance: random.Random, sized: bool) -> str:
    sizes = [word for word, size in WORDS_OF_SIZE.items() if size == it[2]]
    return f"a {chance.choice(sizes) + ' ' if sized else ''}{list(COLOURS)[it[1]]} {SHAPES[it[0]]}"


def _relation(one: Object, other: Object, chance: random.Random) -> str:
    return chance.choice([words for words, relation in RELATIONS.items() if relation == stands(one, other)])


def _things(parts: Sequence[str | None]) -> list[Thing]:
    """Of size, colour and shape of each, as far as there are any."""
    return [
        Thing(SHAPES.index(shape), list(COLOURS).index(colour), WORDS_OF_SIZE.get(size or ""))
        for size, colour, shape in zip(parts[0::3], parts[1::3], parts[2::3], strict=True)
        if shape
    ]
