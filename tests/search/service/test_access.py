"""Every address without a token, with a revoked one, with too small a role, of another search."""

import pytest
from starlette.testclient import TestClient

PLACES = {
    "GET": ["", "/trials", "/trials/1", "/front", "/hypervolume", "/curves?numbers=1", "/figure", "/figures/front.png",
            "/report", "/compensation", "/importance", "/ablation",
            "/exports", "/exports/a.pt", "/files", "/files/a.csv", "/logs",
            "/events"],
    "POST": ["/cancel", "/resume", "/extend"],
    "DELETE": [""],
}  # fmt: skip
ELSEWHERE = [("GET", "/api/v1/searches"), ("POST", "/api/v1/searches"), ("GET", "/api/v1/spaces"),
             ("GET", "/api/v1/data"), ("GET", "/api/v1/me"), ("GET", "/metrics")]  # fmt: skip
BODIES = {"/extend": {"add_trials": 1}, "/api/v1/searches": {"spec": {}}}


def every(search_id):
    return ELSEWHERE + [
        (method, f"/api/v1/searches/{search_id}{path}") for method, paths in PLACES.items() for path in paths
    ]


def call(client, method, path, secret=None):
    body = next((body for end, body in BODIES.items() if path.endswith(end)), None) if method == "POST" else None
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return client.request(method, path, json=body, headers=headers)


@pytest.fixture
def secrets(service, finished):
    made = {role: service.tokens.create(role, role)[1] for role in ("read", "submit", "admin")}
    token, made["revoked"] = service.tokens.create("revoked", "admin")
    service.tokens.revoke(token.id)
    made["single"] = service.tokens.create("single", "submit", search=finished.id)[1]
    return made


def test_every_address_of_the_document_is_tried_here(client, app):
    described = {
        (method.upper(), path.replace("{search_id}", "ID").replace("{number}", "1").replace("{name}", "a"))
        for path, methods in app.openapi()["paths"].items() for method in methods
    }  # fmt: skip
    tried = {
        (method, path.partition("?")[0].replace("front.png", "a").replace("a.pt", "a").replace("a.csv", "a"))
        for method, path in every("ID")
    }
    assert described == tried - {("GET", "/metrics")}


@pytest.mark.parametrize("secret", [None, "revoked", "wrong"])
def test_nothing_opens_without_a_valid_token(client, secrets, finished, secret):
    for method, path in every(finished.id):
        answer = call(client, method, path, secrets.get(secret, secret))
        assert (answer.status_code, answer.headers.get("www-authenticate")) == (
            401, 'Bearer realm="leni-search"',
        ), path  # fmt: skip
    assert client.get("/healthz").status_code == 200


def test_role_that_is_too_small_is_refused_and_changes_nothing(client, secrets, finished, service):
    for method, path in every(finished.id):
        if method != "GET":
            assert call(client, method, path, secrets["read"]).status_code == 403, path
    assert call(client, "DELETE", f"/api/v1/searches/{finished.id}", secrets["submit"]).status_code == 403
    assert service.store.get(finished.id) == finished
    assert service.store.counts()["queued"] == 0


def test_role_that_is_large_enough_is_let_in(client, secrets, finished):
    for path in ("/front", "/trials", "/logs"):
        assert call(client, "GET", f"/api/v1/searches/{finished.id}{path}", secrets["read"]).status_code == 200
    assert call(client, "POST", "/api/v1/searches", secrets["submit"]).status_code == 201
    assert call(client, "DELETE", f"/api/v1/searches/{finished.id}", secrets["admin"]).status_code == 204


def test_token_of_one_search_knows_of_no_other(client, secrets, finished, service):
    other, _ = service.queue.submit({"trials": 3})
    for method, path in every(other.id):
        if other.id in path and method != "DELETE":
            assert call(client, method, path, secrets["single"]).status_code == 404, path
    listed = call(client, "GET", "/api/v1/searches", secrets["single"]).json()["items"]
    assert [item["id"] for item in listed] == [finished.id]
    assert call(client, "POST", "/api/v1/searches", secrets["single"]).status_code == 403
    assert call(client, "GET", f"/api/v1/searches/{finished.id}/front", secrets["single"]).status_code == 200


def test_service_that_others_reach_trusts_nobody_without_a_token(tmp_path, puppets):
    from search.service.app import create_app
    from search.service.settings import Settings

    (tmp_path / "a").mkdir()
    for given in ({"host": "0.0.0.0"}, {"hosts": ("searches.example",)}):
        app = create_app(Settings(tmp_path / "a", **given), launcher_of=puppets)
        client = TestClient(app, base_url="http://127.0.0.1:8080")
        assert client.get("/api/v1/searches").status_code == 401
        app.state.service.store.close()


def test_this_machines_user_is_trusted_until_there_is_a_token_and_not_after_its_end(client, service):
    assert client.get("/api/v1/me").json()["role"] == "admin"
    token, _ = service.tokens.create("ada", "read")
    service.tokens.revoke(token.id)
    assert client.get("/api/v1/me").status_code == 401


TRAVERSALS = ["../job.json", "..%2fjob.json", "%2e%2e/job.json", "..%2f..%2f..%2fservice.db", "/etc/passwd",
              "%2fetc%2fpasswd", "ray/x.json", "link.csv", ".hidden.json", "sampler.json", "study.db", "a%00.csv",
              "driver.lock", "inner/../../job.json", "..\\job.json"]  # fmt: skip


@pytest.mark.parametrize("name", TRAVERSALS)
def test_no_name_leads_out_of_the_run(client, service, finished, name):
    folder = service.queue.home(finished.id).run.path
    (folder / "ray").mkdir()
    for path in ("ray/x.json", ".hidden.json", "sampler.json", "study.db", "driver.lock"):
        (folder / path).write_text("secret")
    (folder / "link.csv").symlink_to("/etc/passwd")
    for place in ("files", "exports", "figures"):
        answer = client.get(f"/api/v1/searches/{finished.id}/{place}/{name}")
        assert answer.status_code == 404, place


@pytest.mark.parametrize("search_id", ["..", "%2e%2e", "..%2f..", "a/b", "x" * 41, "%00", "'; drop table searches"])
def test_no_id_leads_anywhere(client, search_id):
    for path in ("", "/front", "/logs", "/files/spec.toml"):
        assert client.get(f"/api/v1/searches/{search_id}{path}").status_code in (200, 404, 422)
    assert client.get("/api/v1/searches").json()["items"] == []


def test_hostile_name_is_text_in_every_page(client, service, puppets):
    name = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"
    spec = {"trials": 3, "fix": {"width": [0.5, 1.0]}}
    search, _ = service.queue.submit(spec, name=name)
    service.store.change(service.store.get(search.id), note=name)
    for path in ("/", f"/searches/{search.id}"):
        text = client.get(path, headers={"Accept": "text/html"}).text
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "{{7*7}}" in text
        assert "&lt;script&gt;" in text
