"""docs/deployment.md against the program: the options that it names are there, and its files can be read."""

import inspect
import re
import shlex
from pathlib import Path

import pytest
import yaml

from search.cli.remote import create_token, serve_command
from search.service.settings import Settings

TEXT = (Path(__file__).parents[3] / "docs" / "deployment.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = re.findall(
    r"^\s*(?:ExecStart=\S*|.*-- )?leni-search ((?:serve|token create) .*?)(?:\s+#.*|\s+>.*)?$", TEXT, re.MULTILINE
)
SERVED = [shlex.split(command) for command in COMMANDS if command.startswith("serve")]


def options_of(command):
    return {f"--{name.replace('_', '-')}" for name in inspect.signature(command).parameters}


def manifests():
    return [part for kind, text in BLOCKS if kind == "yaml" for part in yaml.safe_load_all(text)]


def service_words():
    """The arguments of the container that serves, as Kubernetes starts it."""
    (deployment,) = [part for part in manifests() if part.get("kind") == "Deployment"]
    return deployment["spec"]["template"]["spec"]["containers"][0]["args"]


def test_commands_of_the_page_take_options_that_are_there():
    assert len(SERVED) >= 3
    for words in [*SERVED, service_words()]:
        assert {word for word in words if word.startswith("--")} <= options_of(serve_command)
    for command in COMMANDS:
        if command.startswith("token"):
            assert {word for word in shlex.split(command) if word.startswith("--")} <= options_of(create_token)


@pytest.mark.parametrize("words", [*SERVED, service_words()], ids=" ".join)
def test_what_the_page_says_to_serve_is_possible(tmp_path, words):
    given = dict(zip(words[1::2], words[2::2], strict=True))
    made = Settings(
        tmp_path, host=given.get("--host", "127.0.0.1"), hosts=(given.get("--host-name", "localhost"),),
        trusted_proxies=(given.get("--trusted-proxy", "unix"),), root_path=given.get("--root-path", ""),
    )  # fmt: skip
    assert made.proxies is not None


def test_probes_and_scrapes_ask_for_addresses_that_are_there(client):
    (deployment,) = [part for part in manifests() if part.get("kind") == "Deployment"]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    client.app.state.service.queue.tick()
    for probe in ("readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert "httpHeaders" not in asked
        assert client.get(asked["path"], headers={"Host": "10.244.0.5:8080"}).status_code == 200
        assert asked["port"] in [port["name"] for port in container["ports"]]
    (monitor,) = [part for part in manifests() if part.get("kind") == "PodMonitor"]
    token = client.app.state.service.tokens.create("prometheus", "read")[1]
    bearer = {"Authorization": f"Bearer {token}", "Host": "10.244.0.5:8080"}
    assert client.get(monitor["spec"]["podMetricsEndpoints"][0]["path"], headers=bearer).status_code == 200
