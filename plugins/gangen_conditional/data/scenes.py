"""Scenes of coloured shapes: drawn by chance, painted, and read again from pictures.

Scenes are int64 ``[n, objects, 5]``. Each object has a shape, a colour and a size, numbers of the names below, and the
place of its centre, x and y from the top left in units of which a picture's side has 32. Objects that a scene does
not have are -1 throughout.
"""

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

SHAPES = ("circle", "square", "triangle", "cross")
COLOURS = {
    "red": (230, 60, 60),
    "green": (70, 190, 80),
    "blue": (50, 80, 240),
    "yellow": (240, 215, 70),
    "purple": (200, 60, 200),
    "cyan": (60, 215, 215),
}
BACKGROUND = (26, 26, 30)
SIZES = ("small", "large")
DIAMETERS = (9, 13)
UNITS = 32
MOST = 3

CELL = 16
# How far two objects one above the other may be aside from each other, and likewise.
ASIDE = 5
# Pictures are read so many at a time; a speck of fewer square units is no object, and what less than this share of its
# outline has in common with every shape (intersection over union) has none.
AT_ONCE = 500
SPECK = 8
LIKE = 0.6


def random_scenes(n: int, most: int, generator: torch.Generator) -> Tensor:
    """``n`` scenes ``[n, MOST, 5]`` of one to ``most`` objects, as many of each number.

    No two objects of a scene have both shape and colour in common. The second stands above, below, left or right of the
    first, a third likewise along the other axis; none touches another.
    """

    def draw(below: int | Tensor, *shape: int) -> Tensor:
        return (torch.rand(n, *shape, generator=generator, dtype=torch.float64) * below).long()

    # Pairs of shape and colour without repetition.
    pairs = torch.rand(n, len(SHAPES) * len(COLOURS), generator=generator).argsort(1)[:, :MOST]
    shape, colour, size = pairs % len(SHAPES), pairs // len(SHAPES), draw(len(SIZES), MOST)
    count, upright = draw(most, 1, 1) + 1, draw(2, 1)
    extent = torch.tensor(DIAMETERS)[size].unsqueeze(2)
    # The cell of 2 x 2, by column and row, in which an object stands, and its centre within.
    cells = draw(2, 1, 2).repeat(1, MOST, 1)
    along = torch.stack([1 - upright, upright], dim=2)
    cells[:, 1:2] ^= along
    cells[:, 2:3] ^= 1 - along
    centre = 1 + CELL * cells + draw(CELL - 1 - extent, MOST, 2) + extent // 2
    # Where there are fewer than three, the rest is free: any place for one, and for two the other axis.
    least, greatest = 1 + extent // 2, UNITS - 2 - extent // 2
    free = least + draw(greatest - least + 1, MOST, 2)
    beside = (free[:, :1] + draw(2 * ASIDE + 1, MOST, 2) - ASIDE).clamp(least, greatest)
    beside[:, 0] = free[:, 0]
    centre = torch.where(count == 1, free, torch.where((count == 2) & (along == 0), beside, centre))
    scenes = torch.cat([torch.stack([shape, colour, size], dim=2), centre], dim=2)
    return scenes.masked_fill(torch.arange(MOST).reshape(1, -1, 1) >= count, -1)


def paint(scenes: Tensor, size: int) -> Tensor:
    """Pictures uint8 ``[n, 3, size, size]``, with smooth edges."""
    ground, colours = _palette()
    pictures = ground.reshape(1, 3, 1, 1).repeat(len(scenes), 1, size, size)
    for objects in scenes.unbind(1):
        there = objects[:, 0] >= 0
        shape, colour, extent, centre = objects[there].split([1, 1, 1, 2], dim=1)
        covered = cover(shape.flatten(), extent.flatten(), centre.float(), size).unsqueeze(1)
        pictures[there] += covered * (colours[colour.flatten()] - ground).reshape(-1, 3, 1, 1)
    return pictures.round().to(torch.uint8)


def read(pictures: Tensor) -> Tensor:
    """Scenes ``[n, MOST + 1, 5]`` of pictures uint8 ``[n, 3, size, size]``, the largest object first.

    An object is what hangs together and differs from the ground. Its colour is the nearest to most of its pixels; shape
    and size are those whose outline fits best, and -1 where none does. Of more than ``MOST`` objects one is told of.
    """
    return torch.cat([_read(some) for some in pictures.split(AT_ONCE)])


def cover(shape: Tensor, extent: Tensor, centre: Tensor, size: int) -> Tensor:
    """How much of each pixel a shape covers, float ``[m, size, size]``; shapes and sizes int64 ``[m]``, centres float
    ``[m, 2]``.
    """
    pixel = (torch.arange(size, device=centre.device) + 0.5) * UNITS / size
    x = pixel.reshape(1, 1, -1) - (centre[:, 0] + 0.5).reshape(-1, 1, 1)
    y = pixel.reshape(1, -1, 1) - (centre[:, 1] + 0.5).reshape(-1, 1, 1)
    radius = torch.tensor(DIAMETERS, device=centre.device)[extent].reshape(-1, 1, 1) / 2
    # How far outside a place is, in units; negative inside.
    outside = x.new_empty(len(shape), size, size)
    for number, name in enumerate(SHAPES):
        rows = shape == number
        outside[rows] = _outside(name, x[rows], y[rows], radius[rows])
    return (0.5 - outside * size / UNITS).clamp(0, 1)


def _outside(shape: str, x: Tensor, y: Tensor, radius: Tensor) -> Tensor:
    match shape:
        case "circle":
            return (x.square() + y.square()).sqrt() - radius
        case "square":
            return torch.maximum(x.abs(), y.abs()) - radius
        case "triangle":  # as high as it is wide
            return torch.maximum(y - radius, (2 * x.abs() - y - radius) / 5**0.5)
        case _:  # a cross, whose arms are a third as wide as it is
            across, upright = (
                torch.maximum(one.abs() - radius, two.abs() - radius / 3) for one, two in ((x, y), (y, x))
            )
            return torch.minimum(across, upright)


def _palette(device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """The ground float ``[3]``, and the colours float ``[colours, 3]``."""
    rows = torch.tensor([BACKGROUND, *COLOURS.values()], dtype=torch.float32, device=device)
    return rows[0], rows[1:]


def _read(pictures: Tensor) -> Tensor:
    n, _, size, _ = pictures.shape
    scale = size / UNITS
    ground, colours = _palette(pictures.device)
    away = (pictures.float() - ground.reshape(1, 3, 1, 1)).flatten(2)
    lengths = (colours - ground).norm(dim=1)
    # Mixed with the ground, as at edges, a colour keeps its direction from there.
    along, colour = ((colours - ground) / lengths.unsqueeze(1) @ away).max(1)
    share = (along / lengths[colour]).clamp(0, 1)
    there = _largest(_connected((share > 0.5).reshape(n, 1, size, size)))
    weight = there * share.unsqueeze(1)
    rows, number = (weight.sum(2) >= SPECK * scale**2).nonzero().unbind(1)
    weight = weight[rows, number]
    mass = weight.sum(1, keepdim=True)
    votes = mass.new_zeros(len(rows), len(colours)).scatter_add_(1, colour[rows], weight)
    pixel = (torch.arange(size, device=mass.device) + 0.5) / scale - 0.5
    grid = torch.cartesian_prod(pixel, pixel).flip(1)
    middle = weight @ grid / mass
    fits, centres = [], []
    for shape in range(len(SHAPES)):
        for extent, diameter in enumerate(DIAMETERS):
            # The mass of a triangle lies below the middle of its height.
            centre = middle - middle.new_tensor([0.0, diameter / 6 if SHAPES[shape] == "triangle" else 0.0])
            kind = torch.full_like(rows, shape), torch.full_like(rows, extent)
            outline = cover(*kind, centre, size).flatten(1)
            fits.append(torch.minimum(outline, weight).sum(1) / torch.maximum(outline, weight).sum(1))
            centres.append(centre)
    fit, best = torch.stack(fits, dim=1).max(1)
    shape, extent = (torch.where(fit >= LIKE, it, -1) for it in (best // len(SIZES), best % len(SIZES)))
    centre = torch.stack(centres, dim=1)[torch.arange(len(rows), device=best.device), best].round().long()
    scenes = torch.full((n, MOST + 1, 5), -1, device=pictures.device)
    scenes[rows, number] = torch.stack([shape, votes.argmax(1), extent, *centre.unbind(1)], dim=1)
    return scenes


def _connected(there: Tensor) -> Tensor:
    """Numbers from 1, int64 ``[n, pixels]``, one for what hangs together of bool ``[n, 1, size, size]``; 0 elsewhere,
    but for the pixels around, which have the number of what they touch.
    """
    size = there.shape[-1]
    number = torch.arange(1, size**2 + 1, dtype=torch.float64, device=there.device).reshape(1, 1, size, size) * there
    while not torch.equal(grown := max_pool2d(number, 3, stride=1, padding=1) * there, number):
        number = grown
    return torch.where(there, number, max_pool2d(number, 3, stride=1, padding=1)).long().flatten(1)


def _largest(numbers: Tensor) -> Tensor:
    """Where the largest of ``_connected`` are, bool ``[n, MOST + 1, pixels]``; nowhere where there are no more."""
    areas = torch.zeros(len(numbers), numbers.shape[1] + 1, dtype=torch.int64, device=numbers.device)
    areas.scatter_add_(1, numbers, torch.ones_like(numbers))
    areas[:, 0] = -1
    number = areas.topk(MOST + 1, dim=1).indices
    return numbers.unsqueeze(1) == number.unsqueeze(2)
