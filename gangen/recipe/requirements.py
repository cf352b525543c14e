"""What a recipe requires: distributions with versions, as in ``gangen-acme>=1.2``."""

import importlib.metadata
import shlex

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from gangen.components.registry import Registry


def unmet(text: str, registry: Registry) -> str | None:
    """Why it is not met, in words; None where it is. What is under test has no version, and meets all of them."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return f"{text!r} is no requirement: write the name of a package and its versions, as gangen-acme>=1.2"
    if requirement.url or requirement.marker:
        return f"{text!r} says more than a package and its versions, as gangen-acme>=1.2"
    under_test = {canonicalize_name(it.distribution) for it in registry.plugins() if it.version == "under test"}
    if canonicalize_name(requirement.name) in under_test:
        return None
    install = f"install it: pip install {shlex.quote(str(requirement))}"
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{requirement} is not installed; {install}"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} {version} is installed, and {requirement} is required; {install}"
    return None
