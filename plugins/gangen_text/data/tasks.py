"""Small tasks in words whose answers can be verified: arithmetic, and lists of words to be rewritten."""

from random import Random

SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
UNITS = (*SMALL.split(), "seventeen", "eighteen", "nineteen")
TENS = {2: "twenty", 3: "thirty", 4: "forty"}
WORDS = ("red", "blue", "green", "black", "white", "brown", "grey", "pink")
LARGEST = 24
# There are some 28,000 different tasks, of which the last are not met with for long.
MOST = 20_000
ASKED = {
    "reverse": lambda words: words[::-1],
    "sort": sorted,
    "repeat": lambda words: words + words,
    "first of": lambda words: words[:1],
    "last of": lambda words: words[-1:],
    "all but first of": lambda words: words[1:],
}


def tasks(count: int, seed: int) -> list[tuple[str, str]]:
    """``count`` different tasks with their answers, by ``seed``; ``MOST`` at most."""
    chance = Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        prompt = task(chance)
        found[prompt] = solve(prompt)
    return list(found.items())


def task(chance: Random) -> str:
    """A task: "nine plus four", "reverse red blue green"."""
    if chance.random() < 0.25:
        one, other = sorted((chance.randint(0, LARGEST) for _ in range(2)), reverse=True)
        return f"{number(one)} {chance.choice(['plus', 'minus'])} {number(other)}"
    return " ".join([chance.choice(list(ASKED)), *chance.choices(WORDS, k=chance.randint(2, 4))])


def solve(prompt: str) -> str:
    """The answer to a task: "thirteen", "green blue red"; it is the teacher."""
    for sign, name in ((1, " plus "), (-1, " minus ")):
        if name in prompt:
            one, other = map(value, prompt.split(name))
            return number(one + sign * other)
    asked = next(it for it in ASKED if prompt.startswith(it + " "))
    return " ".join(ASKED[asked](prompt.removeprefix(asked).split()))


def number(value: int) -> str:
    """A whole number below fifty in words."""
    if value < len(UNITS):
        return UNITS[value]
    tens, units = divmod(value, 10)
    return f"{TENS[tens]} {UNITS[units]}" if units else TENS[tens]


def value(words: str) -> int:
    """The number that words say."""
    return next(it for it in range(2 * LARGEST + 1) if number(it) == words)
