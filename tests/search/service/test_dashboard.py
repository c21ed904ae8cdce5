import optuna
import pytest

pytest.importorskip("optuna_dashboard")


@pytest.fixture
def studied(service, finished):
    study = service.queue.home(finished.id).run.study
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = optuna.create_study(
        study_name="leni-search", storage=f"sqlite:///{study}", directions=["maximize", "minimize"]
    )
    made.add_trial(optuna.trial.create_trial(values=[0.5, 10.0]))
    return finished


def test_dashboard_shows_the_study_below_its_search(client, studied):
    prefix = f"/optuna/{studied.id}"
    assert client.get(f"{prefix}/").headers["location"] == f"{prefix}/dashboard/studies/1"
    page = client.get(f"{prefix}/dashboard/studies/1")
    assert f'src="{prefix}/static/bundle.js"' in page.text
    script = client.get(f"{prefix}/static/bundle.js").text
    assert 'url_prefix:location.pathname.split("/dashboard")[0]+"/dashboard"' in script
    found = client.get(f"{prefix}/api/studies").json()["study_summaries"]
    assert [study["study_name"] for study in found] == ["leni-search"]


def test_dashboard_is_to_look_at(client, studied):
    for method, path in (("DELETE", "/api/studies/1"), ("POST", "/api/studies"), ("PUT", "/api/studies/1/note")):
        assert client.request(method, f"/optuna/{studied.id}{path}").status_code == 405
    assert client.get(f"/optuna/{studied.id}/api/studies").json()["study_summaries"]


def test_dashboard_asks_who_is_there(client, service, studied):
    other, _ = service.queue.submit({"trials": 3})
    _, secret = service.tokens.create("guest", "read", search=other.id)
    assert client.get(f"/optuna/{studied.id}/api/studies").status_code == 303
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.get(f"/optuna/{studied.id}/api/studies", headers=headers).status_code == 404
    assert client.get(f"/optuna/{other.id}/api/studies", headers=headers).status_code == 404  # no study yet


def test_script_of_an_unknown_version_is_not_shown_half(client, studied, monkeypatch):
    from search.service import dashboard

    dashboard._script.cache_clear()
    monkeypatch.setattr(dashboard, "REWRITTEN", {"no such place": ""})
    answer = client.get(f"/optuna/{studied.id}/static/bundle.js")
    dashboard._script.cache_clear()
    assert (answer.status_code, "version" in answer.json()["detail"]) == (404, True)
