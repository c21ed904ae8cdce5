"""Networks in submitted specs: none of the sender's own code is run, and no file of weights is read."""

import json

import pytest

from leni.errors import SpecError
from search.service.networks import check_networks

SPACE = {"activation": "relu"}


@pytest.mark.parametrize(
    "given",
    [
        {"space": {"backbone": "subprocess:Popen", **SPACE}},
        {"space": {"backbone": ["resnet8", "os:system"], **SPACE}},
        {"space": {"backbone": "timm:resnet18?checkpoint_path=/etc/passwd", **SPACE}},
        {"fix": {"backbone": "small_networks:plain"}},
        {"fix": {"backbone": {"low": "small_networks:plain"}}},
        {"candidates": [json.dumps({"backbone": "small_networks:plain", "widths": [1]})]},
        {"space": {"backbone": "timm:resnet18", "network": {"layers": [9]}, **SPACE}},
        {"training": {"weights": "/etc/passwd"}},
    ],
)
def test_submitted_network_that_could_run_code_or_read_a_file_is_refused(given):
    with pytest.raises(SpecError, match="not allowed on this service"):
        check_networks(given)


def test_networks_of_installed_packages_and_ours_are_accepted():
    check_networks(
        {"space": {"backbone": ["resnet8", "timm:resnet18", "torchvision:resnet18"]}, "training": {"lr": 0.1}}
    )
    check_networks({"space": "channel-compensation", "candidates": ["no JSON", "[1]"]})
