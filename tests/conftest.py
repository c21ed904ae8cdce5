"""One Ray for the whole test session, and the folder of evaluators that its workers may import."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

EVALUATORS = Path(__file__).parent / "search" / "evaluators"
sys.path.insert(0, str(EVALUATORS))  # before Ray starts: its workers get the driver's path


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """Ray on this machine, shared by all tests that need one."""
    from search.execute.cluster import started

    with started(None):
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))
