import pytest
from stack import Stack


@pytest.fixture
def stack(tmp_path):
    """A function that starts a devnet; processes that still run at the end of the test are killed."""
    made = []

    def make(**flags):
        made.append(Stack(tmp_path, **flags))
        return made[-1]

    yield make
    for s in made:
        s.close()
