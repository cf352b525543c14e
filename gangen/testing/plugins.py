"""Plugins under test: theirs are the only components beside gangen's own, whatever else is installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from gangen.components import registry


@contextmanager
def installed(**modules: ModuleType) -> Iterator[registry.Registry]:
    """Within this context the plugins that are installed are gangen's own and ``modules``, by their names:
    ``installed(acme=gangen_acme)``. Gives a registry of them; one that another module discovers has the same.

    What ``gangen.component`` is given meanwhile is forgotten. Raises PluginError for one that cannot be loaded. A
    fixture that is used by itself, in ``conftest.py``, isolates all tests::

        @pytest.fixture(autouse=True)
        def registry():
            with installed(acme=gangen_acme) as registry:
                yield registry
    """
    with registry.instead_of_installed(modules):
        yield registry.Registry.discover()
