import gangen_acme
import pytest

from gangen import testing


@pytest.fixture(autouse=True)
def registry():
    """The plugin, and nothing else that happens to be installed beside gangen."""
    with testing.installed(acme=gangen_acme) as registry:
        yield registry
