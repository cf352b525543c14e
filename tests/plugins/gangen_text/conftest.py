"""Real data for tests that check known facts: a folder named by GANGEN_DATA."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """``real_data("folder/file")`` is that file under GANGEN_DATA; the test is skipped where there is none."""

    def find(name: str) -> Path:
        root = os.environ.get("GANGEN_DATA")
        if not root:
            pytest.skip("GANGEN_DATA is not set: it names a folder with data for tests of known facts")
        path = Path(root) / name
        if not path.exists():
            pytest.skip(f"GANGEN_DATA has no {name}")
        return path

    return find
