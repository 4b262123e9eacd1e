import pytest
from stack import Stack


@pytest.fixture
def stack(tmp_path):
    """A function that starts a devnet; whatever runs at the end of the test is killed."""
    made = []

    def make(**flags):
        made.append(Stack(tmp_path, **flags))
        return made[-1]

    yield make
    for s in made:
        s.close()
