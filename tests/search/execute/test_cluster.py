import os
import sys
from pathlib import Path

import pytest

from leni.errors import SpecError
from search.execute import cluster
from search.execute.cluster import environment_variables, slots, started


def test_slots_follow_from_the_resources_of_a_trial(ray_session):
    import ray

    cpus = int(ray.cluster_resources()["CPU"])
    assert slots(1, 0) == cpus
    assert slots(0.25, 0) == 4 * cpus
    assert slots(cpus, 0) == 1
    assert slots(1, 0, workers=1) == 1


def test_slots_refuse_a_trial_that_never_fits(ray_session):
    with pytest.raises(SpecError, match="cpus_per_trial is 4096, but Ray has"):
        slots(4096, 0)
    with pytest.raises(SpecError, match="gpus_per_trial is 999, but Ray has"):
        slots(1, 999)


def test_started_uses_the_ray_that_runs_and_leaves_it(ray_session):
    import ray

    with started("nowhere:1234"):
        assert ray.is_initialized()
    assert ray.is_initialized()


def test_environment_variables_end_with_their_block_and_spare_the_users(monkeypatch):
    monkeypatch.setenv("LENI_MINE", "mine")
    with environment_variables({"LENI_MINE": "ours", "LENI_OURS": "ours"}):
        assert (os.environ["LENI_MINE"], os.environ["LENI_OURS"]) == ("mine", "ours")
    assert os.environ["LENI_MINE"] == "mine"
    assert "LENI_OURS" not in os.environ


def test_workers_do_not_find_the_commands_folder_first(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:/elsewhere::.")
    with cluster._workers_spared():
        assert os.environ["PYTHONPATH"] == "/elsewhere"
        assert Path.cwd() == cluster.OWN
        monkeypatch.setattr(cluster, "OWN", Path("/usr/lib/python3/site-packages"))
    assert (Path.cwd(), os.environ["PYTHONPATH"]) == (tmp_path, f"{tmp_path}:/elsewhere::.")
    with cluster._workers_spared():
        assert Path.cwd() == Path(sys.prefix)


@pytest.mark.parametrize("quiet", [True, False])
def test_rays_native_part_is_silent_where_the_terminal_is_to_stay_quiet(monkeypatch, quiet):
    monkeypatch.delenv("RAY_BACKEND_LOG_LEVEL", raising=False)
    seen = []
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", lambda **_: seen.append(os.environ.get("RAY_BACKEND_LOG_LEVEL")))
    monkeypatch.setattr("ray.shutdown", lambda: None)
    with started(None, quiet=quiet):
        pass
    assert seen == ["fatal" if quiet else None]
    assert "RAY_BACKEND_LOG_LEVEL" not in os.environ
