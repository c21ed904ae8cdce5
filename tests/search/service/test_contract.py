"""Every address of the OpenAPI document, asked by schemathesis: no server error, and nothing undescribed."""

import pytest
from hypothesis import HealthCheck, given, settings

schemathesis = pytest.importorskip("schemathesis")
openapi = pytest.importorskip("schemathesis.specs.openapi.checks")
CHECKS = (
    schemathesis.checks.not_a_server_error, openapi.content_type_conformance, openapi.response_schema_conformance,
    openapi.status_code_conformance,
)  # fmt: skip
HERE = "http://127.0.0.1:8080"
SEARCH = "/api/v1/searches/{search_id}"
REFUSED = {  # whatever is asked: a file that is there, a search that is not complete, an id to delete is not hit upon
    ("DELETE", SEARCH), ("POST", f"{SEARCH}/resume"), ("GET", f"{SEARCH}/ablation"),
    *(("GET", f"{SEARCH}/{place}/{{name}}") for place in ("exports", "figures", "files")),
}  # fmt: skip


@pytest.fixture
def document(app, finished):
    """The document, whose ids are mostly those of what is there: only so is anything behind them reached."""
    made = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers={"Host": "127.0.0.1"})
    for methods in made.raw_schema["paths"].values():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "search_id" and method != "delete":
                    parameter["schema"]["enum"] = [finished.id, finished.id, "nothing"]
                if parameter["name"] == "number":
                    parameter["schema"]["enum"] = [0, 1, 2, 3, 4, 5, 6]
    return made


def test_no_request_is_a_server_error_and_every_answer_is_described(document, service, finished):
    answered = set()
    bearer = {"Authorization": f"Bearer {service.tokens.create('fuzzer', 'admin')[1]}"}
    for operation in (found.ok() for found in document.get_all_operations()):

        @settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case):
            service.queue.cancel(finished.id)  # or its events would not end, once it has been extended
            response = case.call(base_url=HERE, headers=bearer)
            answered.add((case.method, case.path, response.status_code < 400))
            case.validate_response(response, checks=CHECKS)

        check()
    reached = {(method, path) for method, path, good in answered if good}
    assert {(method, path) for method, path, _ in answered} - reached == REFUSED
