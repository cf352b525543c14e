import pytest


@pytest.fixture
def touch(tmp_path):
    """A function that makes empty files below a folder, which it returns."""

    def make(*names):
        for name in names:
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return tmp_path

    return make
