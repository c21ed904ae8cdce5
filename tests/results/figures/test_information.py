import math

import pandas as pd
import pytest

from results.errors import RecordError
from results.figures import information
from results.figures.information import information_figure
from results.figures.theme import COLOURS, save


def records(network: str, sites: list[str], **columns: list[float]) -> pd.DataFrame:
    base = {"dead": 0.25, "negative_kept": 0.5, "effective_rank": 3.0, "entropy": 2.0}
    return pd.DataFrame({"network": network, "site": sites, "channels": 4, **base, **columns})


def both() -> pd.DataFrame:
    leni = records("leni", ["b", "a", "c"], dead=[0.0, 0.5, 0.25], negative_kept=[0.1, math.nan, 1.5])
    return pd.concat([leni, records("ReLU baseline", ["b", "a", "c"], negative_kept=[0.0, math.nan, 0.0])])


def test_information_figure_has_a_panel_a_measure_and_a_dot_a_network():
    chart = information_figure(both(), title="T", subtitle="mine").to_dict()
    panels = [panel["layer"][1] for panel in chart["hconcat"]]
    fields = [panel["encoding"]["x"]["field"] for panel in panels]
    assert fields == ["dead", "negative_kept", "effective_rank", "entropy"]
    assert chart["title"]["text"] == "T"
    assert chart["title"]["subtitle"] == ["mine", "3 call sites from the first (top) to the last"]
    rows = chart["datasets"]["sites"]  # the first network last: it is drawn on top
    assert [row["network"] for row in rows] == ["ReLU baseline"] * 3 + ["leni"] * 3
    assert [row["dead"] for row in rows] == [0.25] * 3 + [0.0, 0.5, 0.25]
    assert [row["negative_kept"] for row in rows] == [0.0, None, 0.0, 0.1, None, 1.5]


def test_information_figure_keeps_the_order_of_the_forward_pass():
    y = information_figure(both()).to_dict()["hconcat"][0]["layer"][1]["encoding"]["y"]
    assert y["sort"] == ["b", "a", "c"]
    assert y["scale"]["domain"] == ["b", "a", "c"]


def test_site_order_puts_a_site_of_one_network_after_the_one_that_it_follows():
    frame = pd.concat([records("one", ["b", "a", "d"]), records("two", ["x", "b", "y", "d", "z"])])
    assert information._site_order(frame) == ["x", "b", "y", "a", "d", "z"]


def test_network_colours_are_the_activations_where_names_are_theirs():
    colours = information.network_colours
    assert colours(pd.Series(["prelu", "relu", "prelu"])) == {"prelu": COLOURS["prelu"], "relu": COLOURS["relu"]}
    assert colours(pd.Series(["network", "twin"])) == {"network": COLOURS["leni"], "twin": COLOURS["relu"]}
    assert colours(pd.Series(["twin", "leni"])) == {"twin": COLOURS["relu"], "leni": COLOURS["leni"]}


def test_network_colours_of_many_networks_do_not_collide():
    assert len(set(information.network_colours(pd.Series([f"n{n}" for n in range(9)])).values())) == 9


def test_information_figure_of_many_sites_has_lower_rows():
    few, many = (information_figure(records("n", [f"s{n}" for n in range(count)])).to_dict() for count in (50, 121))
    assert many["hconcat"][0]["height"] < 1.5 * few["hconcat"][0]["height"]
    assert len(many["datasets"]["sites"]) == 121


def test_information_figure_axes_hold_all_values_from_zero():
    panels = information_figure(both()).to_dict()["hconcat"]
    ends = [panel["layer"][1]["encoding"]["x"]["scale"]["domain"] for panel in panels]
    assert ends == [[0, pytest.approx(end)] for end in (0.52, 1.56, 3.12, 2.08)]


def test_information_figure_of_nothing_but_zeros_and_nan_has_axes():
    frame = records("n", ["a", "b"], dead=[0.0, 0.0], negative_kept=[math.nan] * 2, effective_rank=[0.0] * 2)
    panels = information_figure(frame).to_dict()["hconcat"]
    assert [panel["layer"][1]["encoding"]["x"]["scale"]["domain"][1] for panel in panels[:3]] == [0.1, 0.1, 1.0]


def test_information_figure_of_one_network_has_no_legend():
    panels = information_figure(records("n", ["a"])).to_dict()["hconcat"]
    assert all(panel["layer"][1]["encoding"]["color"]["legend"] is None for panel in panels)


def test_information_figure_without_records_says_so(tmp_path):
    save(information_figure(both().iloc[:0]), tmp_path / "a.svg")
    assert information._NOTHING in (tmp_path / "a.svg").read_text()


def test_information_figure_is_drawn_with_its_sites(tmp_path):
    frame = both().replace({"site": {"a": "stages.0.0.inner"}})
    save(information_figure(frame), tmp_path / "a.svg")
    page = (tmp_path / "a.svg").read_text()
    assert "stages.0.0.inner" in page
    assert "effective rank (channels)" in page


def test_information_figure_without_a_column_is_an_error():
    with pytest.raises(RecordError, match="missing: entropy"):
        information_figure(both().drop(columns="entropy"))


def test_information_figure_of_a_site_twice_is_an_error():
    with pytest.raises(RecordError, match="site a of n is there twice"):
        information_figure(records("n", ["a", "b", "a"]))
