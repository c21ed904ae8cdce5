"""What all tests share: one Ray for the session, evaluators that its workers may import, and the order of the files."""

import sys
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
import torch

EVALUATORS = Path(__file__).parent / "search" / "evaluators"
sys.path.insert(0, str(EVALUATORS))  # before Ray starts: its workers get the driver's path

# Files of over ten seconds, the longest first: what is begun last should be short, or one process waits for the other.
LONG = (
    "search/test_kill.py",
)  # fmt: skip
# Fixtures that need Ray, a browser or a server: `make quick` leaves out what uses one.
HEAVY = frozenset({"ray_session", "browser", "server", "puppet_server", "shown"})


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=3, help="moments at which a driver is killed, in test_kill.py")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kill_seed" in metafunc.fixturenames:
        metafunc.parametrize("kill_seed", range(metafunc.config.getoption("--kills")))


@pytest.hookimpl(tryfirst=True)  # before -m selects by the marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HEAVY & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.heavy)
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """Ray on this machine, shared by all tests that need one."""
    from search.execute.cluster import started

    with started(None):
        yield


def _restored() -> Iterator[None]:
    """Torch's threads and Optuna's lines belong to the process: a test that sets them leaves them as they were."""
    threads, verbosity = torch.get_num_threads(), optuna.logging.get_verbosity()
    yield
    torch.set_num_threads(threads)
    optuna.logging.set_verbosity(verbosity)


_each_module = pytest.fixture(_restored, scope="module", autouse=True, name="_each_module")
_each_test = pytest.fixture(_restored, autouse=True, name="_each_test")
