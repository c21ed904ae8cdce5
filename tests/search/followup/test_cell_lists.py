from search.followup.cell_lists import cell_specs
from search.spec import Spec
from spaces import Candidate
from spaces.factorial import Cell

RELU = Candidate("resnet8", (2, 4, 8), "relu")
WIDE = Candidate("resnet8", (4, 8, 16), "relu")


def test_cell_specs_are_a_list_for_each_recipe_with_each_network_once(tmp_path):
    cells = [
        Cell({"a": "1"}, RELU),
        Cell({"a": "2"}, WIDE),
        Cell({"a": "3"}, RELU),
        Cell({"a": "4"}, RELU, {"lr": 0.2}),
    ]
    found = cell_specs(Spec(data="digits", epochs=3), cells, tmp_path, prefix="try", seeds=2, seed=7)
    assert [spec.only_candidates() for spec in found] == [(RELU, WIDE), (RELU,)]
    assert [spec.out.name for spec in found] == ["try", "try-lr-0.2"]
    assert [(spec.epochs, spec.recipe().lr) for spec in found] == [(3, 0.05), (3, 0.2)]
    assert {spec.first_seeds() for spec in found} == {(7, 8)}
