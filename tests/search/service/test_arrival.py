"""A service behind proxies: what is believed of them, and every address of ours below the prefix."""

import dataclasses
import re

import pytest
from starlette.testclient import TestClient

from leni.errors import SpecError
from search.service.app import create_app
from search.service.pages import router
from search.service.settings import ADDRESSES, Settings

PROXY = ("10.0.0.9", 4711)
NAME = "searches.example.org"
ROOT = "/tools/leni"


@pytest.fixture
def behind(settings, puppets, request):
    """Clients of a service whose settings are changed: from the proxy, or from somewhere else."""
    made = []

    def make(peer=PROXY, **changes):
        changed = dataclasses.replace(settings, **{"trusted_proxies": ("10.0.0.0/8",), "hosts": (NAME,), **changes})
        made.append(create_app(changed, launcher_of=puppets))
        return TestClient(made[-1], base_url="http://127.0.0.1:8080", follow_redirects=False, client=peer)

    yield make
    for app in made:
        app.state.service.store.close()


def token_of(client, role="admin"):
    return client.app.state.service.tokens.create("x", role)[1]


def test_trusted_proxy_says_scheme_and_host_and_the_cookie_is_for_tls(behind):
    client = behind()
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": NAME, "Origin": f"https://{NAME}"}
    answer = client.post("/login", data={"token": token_of(client)}, headers=said)
    assert answer.status_code == 200
    assert "Secure" in answer.headers["set-cookie"]


def test_nothing_is_believed_of_somebody_else(behind):
    client = behind(peer=("203.0.113.4", 1))
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil"}
    answer = client.post("/login", data={"token": token_of(client)}, headers=said)
    assert (answer.status_code, "Secure" in answer.headers["set-cookie"]) == (200, False)
    assert "evil" not in answer.text
    assert client.get("/login", headers={"Host": "evil.example", "X-Forwarded-Host": NAME}).status_code == 421


def test_client_behind_a_proxy_has_a_rate_of_its_own_and_is_named_in_the_log(behind, caplog):
    client = behind(burst=2, requests_per_s=0.001)
    caplog.set_level("INFO", logger="leni_search.service.access")
    answers = [
        client.get("/healthz", headers={"X-Forwarded-For": address}).status_code
        for address in ("203.0.113.4", "203.0.113.4", "203.0.113.4", "203.0.113.5")
    ]
    assert answers == [200, 200, 429, 200]
    assert [record.client for record in caplog.records][-2:] == ["203.0.113.4", "203.0.113.5"]
    stranger = behind(peer=("203.0.113.4", 1), burst=2, requests_per_s=0.001)
    forged = [stranger.get("/healthz", headers={"X-Forwarded-For": f"1.1.1.{n}"}).status_code for n in range(3)]
    assert forged == [200, 200, 429]


def test_who_comes_through_a_trusted_proxy_is_never_this_machines_user(behind):
    assert behind(peer=("127.0.0.1", 1), hosts=()).get("/api/v1/me").json()["role"] == "admin"
    answer = behind(hosts=()).get("/api/v1/me", headers={"X-Forwarded-For": "127.0.0.1"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "host", [NAME, f"{NAME}:443", f"{NAME.upper()}.", "10.0.0.7", "[2001:db8:0::7]:9", "alone.example:8443"]
)
def test_named_hosts_are_answered_with_any_port_unless_one_is_named(behind, host):
    client = behind(hosts=(NAME, "10.0.0.7", "2001:DB8::7", "alone.example:8443"))
    assert client.get("/login", headers={"Host": host}).status_code == 200
    assert client.get("/login", headers={"Host": "alone.example:8444"}).status_code == 421


@pytest.mark.parametrize("name", ["http://a.example", "a b", "", "a/b", "*.example.org", "a:99999"])
def test_host_name_that_is_none_is_a_sentence(tmp_path, name):
    with pytest.raises(SpecError, match="--host-name must be"):
        Settings(tmp_path, hosts=(name,))


@pytest.mark.parametrize("host", ["10.244.0.5:8099", "evil.example", "", "[fd00::7]"])
def test_probes_are_answered_under_any_host_and_metrics_with_a_token(behind, host):
    client = behind()
    client.app.state.service.queue.tick()
    bearer = {"Authorization": f"Bearer {token_of(client, 'read')}"}
    for path in ("/healthz", "/readyz"):
        assert client.get(path, headers={"Host": host}).status_code == 200
        assert client.head(path, headers={"Host": host}).status_code == 200
    assert client.get("/metrics", headers={"Host": host, **bearer}).status_code == 200
    assert client.get("/metrics", headers={"Host": host}).status_code == 421
    assert client.get("/metrics", headers={"Host": host, "Authorization": "Bearer no"}).status_code == 401
    assert client.get("/api/v1/searches", headers={"Host": host, **bearer}).status_code == 421


ABSOLUTE = re.compile(r"""(?:href|src|action)="(/[^"]*)"|url=(/[^"]*)"|data-root="([^"]*)\"""")


@pytest.mark.parametrize("strips", [True, False])
@pytest.mark.parametrize("header", [True, False])
def test_every_address_is_below_the_prefix(behind, service, finished, strips, header):
    client = behind(root_path="" if header else ROOT)
    start = "" if strips else ROOT
    headers = {"X-Forwarded-Prefix": ROOT} if header else {}
    token = token_of(client)
    entered = client.get(f"{start}/enter?token={token}", headers=headers)
    assert f"Path={ROOT};" in entered.headers["set-cookie"]
    headers["Cookie"] = entered.headers["set-cookie"].partition(";")[0]
    for path in ("/", "/new", "/login", f"/searches/{finished.id}", "/nowhere", "/static/search.js", "/static/app.css"):
        page = client.get(start + path, headers={**headers, "Accept": "text/html"})
        links = ["".join(found) for found in ABSOLUTE.findall(page.text)]
        assert all(link.startswith(ROOT) for link in links), path
        assert links or path.startswith("/static"), path
        assert "url(/" not in page.text
    assert client.get(start or "/", headers=headers).status_code == 200


def test_redirects_and_what_is_made_are_below_the_prefix(behind, finished):
    client = behind(root_path=ROOT)
    bearer = {"Authorization": f"Bearer {token_of(client)}"}
    assert client.get("/").headers["location"] == f"{ROOT}/login"
    assert client.get(f"{ROOT}/login/").headers["location"] == f"{ROOT}/login"
    assert client.get(f"/optuna/{finished.id}/").headers["location"] == f"{ROOT}/login"
    shown = client.get(f"/optuna/{finished.id}/", headers=bearer).headers["location"]
    assert shown == f"{ROOT}/optuna/{finished.id}/dashboard/studies/1"
    made = client.post(f"{ROOT}/api/v1/searches", json={"spec": {}}, headers=bearer)
    assert made.headers["location"] == f"{ROOT}/api/v1/searches/{made.json()['id']}"
    document = client.get("/api/v1/openapi.json", headers=bearer).json()
    assert document["servers"] == [{"url": ROOT}]


def test_redirect_names_no_scheme_or_host_which_a_proxy_knows_better(behind):
    client = behind(peer=("203.0.113.4", 1))
    assert client.get("/login/", headers={"Host": NAME}).headers["location"] == "/login"


def test_service_is_not_redirected_to_another_host_by_a_path(behind):
    for path in ("//evil.example/login/", "//evil.example//", "/%2f%2fevil.example/"):
        answer = behind().get(f"http://127.0.0.1:8080{path}")
        assert not answer.headers.get("location", "/").startswith("//")


@pytest.mark.parametrize("path", ["//x", "/a b", "leni", "/a/../b", "/searches", "/api/leni", "/a/dashboards"])
def test_root_path_that_is_none_or_is_taken_is_a_sentence(tmp_path, path):
    with pytest.raises(SpecError, match="--root-path must"):
        Settings(tmp_path, root_path=path)


def test_addresses_are_those_of_the_application(app):
    paths = {path.split("/")[1] for path in app.openapi()["paths"]}
    for route in [*app.routes, *router.routes]:
        paths.add((getattr(route, "path", None) or "/").split("/")[1])
    assert paths - {""} == ADDRESSES
