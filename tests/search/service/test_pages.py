import re

import pytest


@pytest.fixture
def secret(service):
    return service.tokens.create("ada", "submit")[1]


def enter(client, secret):
    return client.post("/login", data={"token": secret})


def form_token(client, path="/new"):
    return re.search(r'name="form-token" content="([0-9a-f]+)"', client.get(path).text).group(1)


def test_pages_need_a_session_and_the_login_gives_one(client, secret, finished):
    for path in ("/", "/new", f"/searches/{finished.id}"):
        assert (client.get(path).status_code, client.get(path).headers["location"]) == (303, "/login")
    assert enter(client, "leni_x_y").status_code == 401
    cookie = enter(client, secret).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert secret not in cookie
    assert "six" in client.get("/").text


def test_link_to_share_leads_to_its_search_and_no_other(client, service, finished):
    other, _ = service.queue.submit({"trials": 3}, name="another")
    _, secret = service.tokens.create("guest", "read", search=finished.id)
    assert f'content="0;url=/searches/{finished.id}"' in client.get(f"/enter?token={secret}").text
    assert client.get(f"/searches/{finished.id}").status_code == 200
    assert client.get(f"/searches/{other.id}").status_code == 404
    assert "another" not in client.get("/").text
    assert "/new" not in client.get("/").text


def test_form_submits_what_it_says(client, service, secret):
    enter(client, secret)
    page = client.get("/new").text
    key = re.search(r'name="key" value="([0-9a-f]+)"', page).group(1)
    fields = {
        "form_token": form_token(client), "key": key, "name": "mine", "space": "placement", "data": "digits",
        "trials": "5", "epochs": "", "objectives": "accuracy, macs", "further": '{"fix": {"lr_factor": 1.0}}',
    }  # fmt: skip
    first, again = client.post("/new", data=fields), client.post("/new", data=fields)
    assert (first.status_code, first.headers["location"]) == (303, again.headers["location"])
    (search,) = service.store.page(limit=9)
    assert search.spec == {
        "space": "placement", "data": "digits", "trials": 5, "objectives": ["accuracy", "macs"],
        "fix": {"lr_factor": 1.0},
    }  # fmt: skip


MISTAKES = {
    "sentence of the command": ({"trials": "0"}, "trials must be greater than or equal to 1"),
    "no number": ({"trials": "many"}, "trials must be a number"),
    "no JSON": ({"further": "{"}, "one JSON object"),
    "a list": ({"further": "[]"}, "one JSON object"),
    "a key of the service": ({"further": '{"out": "/tmp/x"}'}, "out cannot be set"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_form_with_a_mistake_is_shown_again_with_what_was_in_it(client, service, case):
    fields, words = MISTAKES[case]
    answer = client.post("/new", data={"form_token": form_token(client), "name": "<i>mine", **fields})
    assert answer.status_code == 422
    assert words in answer.text
    assert 'value="&lt;i&gt;mine"' in answer.text
    assert service.store.page(limit=9) == []


def test_form_without_its_token_does_nothing(client, service, secret):
    enter(client, secret)
    for fields in ({}, {"form_token": "0" * 64}, {"form_token": "ä"}):
        assert client.post("/new", data={"trials": "3", **fields}).status_code == 403
        assert client.post("/logout", data=fields).status_code == 403
    assert service.store.page(limit=9) == []
    assert client.get("/").status_code == 200


def test_session_changes_nothing_over_the_api_without_the_pages_token(client, service, secret):
    enter(client, secret)
    assert client.post("/api/v1/searches", json={"spec": {}}).status_code == 403
    headers = {"X-CSRF-Token": form_token(client)}
    assert client.post("/api/v1/searches", json={"spec": {}}, headers=headers).status_code == 201


def test_form_token_of_one_session_is_none_for_another(client, service, secret):
    enter(client, secret)
    before = form_token(client)
    enter(client, service.tokens.create("bob", "submit")[1])
    assert client.post("/new", data={"form_token": before}).status_code == 403


def test_log_out_ends_the_session_itself(client, secret):
    cookie = enter(client, secret).cookies["leni_search"]
    client.post("/logout", data={"form_token": form_token(client)})
    assert client.get("/", headers={"Cookie": f"leni_search={cookie}"}).status_code == 303


def test_reader_sees_no_form_and_no_buttons(client, service, finished):
    enter(client, service.tokens.create("eve", "read")[1])
    page = client.get(f"/searches/{finished.id}").text
    assert 'id="cancel"' not in page
    assert client.post("/new", data={"form_token": form_token(client, "/")}).status_code == 403


def test_error_is_a_page_for_a_browser_and_a_problem_for_others(client):
    assert "<h1>Not Found</h1>" in client.get("/nowhere", headers={"Accept": "text/html"}).text
    assert client.get("/nowhere").headers["content-type"] == "application/problem+json"
    assert client.get("/api/v1/x", headers={"Accept": "text/html"}).json()["status"] == 404


def test_pages_load_nothing_from_elsewhere_and_have_no_script_in_them(client, finished):
    for path in ("/", "/new", "/login", f"/searches/{finished.id}"):
        text = client.get(path).text
        assert not re.search(r'(src|href|action)="(?!/|#|data:,)', text), path
        assert not re.search(r"<script(?! defer src=)|<style| style=| on[a-z]+=", text), path
        assert text.count("<h1") == 1
        for label in re.findall(r'<label for="([^"]+)"', text):
            assert f'id="{label}"' in text
