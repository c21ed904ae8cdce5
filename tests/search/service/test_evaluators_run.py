"""A search of an evaluator of the user's own: its objectives and parameters under their names, and nothing empty."""

import dataclasses

import optuna
import pytest
from starlette.testclient import TestClient

import results
from search.service.app import create_app
from search.spec import Spec
from search.store.folder import environment, write_environment, write_text
from search.store.trials import Outcome, StudyStore
from spaces import Configuration

KEYS = {
    "evaluator": "ev:f", "objectives": ["error:min", "size:min"], "trials": 4,
    "space": {"parameters": {"state": ["x", "y"], "depth": {"low": 0.0, "high": 1.0}}},
}  # fmt: skip
TRIED = [("x", 0.9, 0.25, 3.0), ("y", 0.5, 0.5, 2.0), ("x", 0.1, 0.75, 2.5)]  # the last is dominated by the second
NETWORKS = {"backbone", "widths", "activation", "placement", "kernel_size", "macs", "params", "accuracy"}


@pytest.fixture
def client(settings, puppets):
    app = create_app(dataclasses.replace(settings, evaluators=("ev:f",)), launcher_of=puppets)
    yield TestClient(app, base_url="http://127.0.0.1:8080")
    app.state.service.store.close()


@pytest.fixture
def base(client, puppets):
    """Address of a search with three completed trials and one that failed."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    service = client.app.state.service
    search, _ = service.queue.submit(KEYS, name="mine")
    service.queue.tick()
    search = service.store.get(search.id)
    place = service.queue.home(search.id).run
    place.path.mkdir()
    spec = Spec(**KEYS, out=place.path)
    write_text(place.spec, spec.to_toml())
    write_environment(place.environment, environment(objectives=spec.directions(), trials=4, ended="complete"))
    store = StudyStore(place.study, spec.directions())
    first, second = spec.directions()
    for state, depth, error, size in TRIED:
        number = store.begin(Configuration((("state", state), ("depth", depth))), {}, {}, {})
        store.end(number, Outcome("completed", {first: error, second: size}))
    number = store.begin(Configuration((("state", "y"), ("depth", 0.3))), {}, {}, {})
    store.end(number, Outcome("failed", error="ValueError: no", traceback="Traceback: here"))
    results.write(results.to_frame(store.records()), place.trials)
    results.write(results.to_curves(store.curves()), place.curves)
    store.close()
    puppets.end(search, service.queue.home(search.id))
    service.queue.tick()
    return f"/api/v1/searches/{search.id}"


def test_front_has_the_users_names_alone_and_nothing_empty(client, base):
    front = client.get(f"{base}/front").json()
    assert front["objectives"] == {"error": "minimize", "size": "minimize"}
    found = {(row["number"], row["state"], row["depth"], row["error"], row["size"]) for row in front["items"]}
    assert found == {(0, *TRIED[0]), (1, *TRIED[1])}
    for row in front["items"]:
        assert None not in row.values()
        assert not NETWORKS & set(row)


def test_trials_have_no_column_that_is_empty_in_all_of_them(client, base):
    items = client.get(f"{base}/trials").json()["items"]
    names = list(items[0])
    assert names[:6] == ["number", "state", "metric:error", "size", "depth", "param:state"]
    assert not NETWORKS & set(names)
    assert all(any(row[name] is not None for row in items) for name in names)
    failed = client.get(f"{base}/trials/3").json()
    assert (failed["record"]["error"], failed["traceback"], failed["sites"]) == (
        "ValueError: no",
        "Traceback: here",
        [],
    )


def test_figures_have_the_users_objectives_as_axes(client, base):
    figure = client.get(f"{base}/figure").json()
    assert figure["title"]["text"] == "Error against size"
    titles = {axis["title"] for layer in figure["layer"] for axis in layer["encoding"].values() if "title" in axis}
    assert {"error", "size"} <= titles
    assert not any("metric:" in str(title) or "param:" in str(title) for title in titles)
    assert len(client.get(f"{base}/hypervolume").json()["by_trials"]) == 3
    assert client.get(f"{base}/importance").status_code == 200
    report = client.get(f"{base}/report").text
    assert "metric:error" not in report.partition("<script")[0]


def test_page_of_an_evaluators_search_has_no_studies_of_networks(client, base, finished):
    page = client.get(base.replace("/api/v1", "")).text
    assert 'data-study="importance"' in page
    assert 'data-study="compensation"' not in page
    assert 'data-study="compensation"' in client.get(f"/searches/{finished.id}").text
