import pytest

from leni.errors import NetworkError
from leni.survey import main, page, survey


def test_survey_of_network_with_functions_counts_sites_and_costs() -> None:
    row = survey("googlenet", side=64)

    assert (row.modules, row.kinds, row.swapped, row.left) == (0, {"relu": 57}, 57, {})
    assert row.gained == row.analytic == 72_800
    assert row.difference == 0
    assert row.output is not None
    assert row.output > 1e-3


def test_survey_of_mixed_network_compares_relus_alone_and_says_what_was_left() -> None:
    row = survey("mobilenet_v3_small", side=64)

    assert row.kinds == {"hardswish": 19, "relu": 14}
    assert (row.swapped, row.compared, row.left) == (23, 5, {"gate": 9, "head": 1})
    assert row.difference == 0


def test_survey_of_network_without_feature_maps_has_nothing_to_compare() -> None:
    row = survey("vit_b_32")

    assert (row.swapped, row.gained, row.difference) == (0, 0, None)
    assert row.left == {"gelu with the channels in dimension 2 of 3": 12}
    assert "| 12 (12 gelu) | 0 |" in page([row])


def test_survey_of_unknown_network_raises() -> None:
    with pytest.raises(NetworkError, match="resnet18"):
        survey("resnet81")


def test_survey_page_goes_to_standard_output_and_progress_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    main(["squeezenet1_1"])

    captured = capsys.readouterr()
    assert (
        "| squeezenet1_1 | 224x224 | 26 | 26 (26 relu) | 25 | 1,235,496 | 29,440 | 29,440 | 2.38 | 0 |" in captured.out
    )
    assert captured.err.startswith("1 of 1  squeezenet1_1")
