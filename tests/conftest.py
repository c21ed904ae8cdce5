"""One Ray for the whole test session, and the folder of evaluators that its workers may import."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

EVALUATORS = Path(__file__).parent / "search" / "evaluators"
sys.path.insert(0, str(EVALUATORS))  # before Ray starts: its workers get the driver's path


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=3, help="moments at which a driver is killed, in test_kill.py")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kill_seed" in metafunc.fixturenames:
        metafunc.parametrize("kill_seed", range(metafunc.config.getoption("--kills")))


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
