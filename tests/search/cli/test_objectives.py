import pytest
import typer

from search.cli.objectives import names_of, objectives_of


def test_names_come_with_commas_or_again_and_each_once():
    assert names_of(["b, a", "a", ",c,"]) == ["b", "a", "c"]
    assert names_of(None) == []


def test_objectives_keep_their_order_and_names_may_have_colons():
    found = objectives_of(["loss:min,acc:top1:max", "size:minimize"])
    assert list(found.items()) == [("loss", "minimize"), ("acc:top1", "maximize"), ("size", "minimize")]
    assert objectives_of(None) == {}


@pytest.mark.parametrize("text", ["loss", "loss:up", ":min", "loss:min,loss:max"])
def test_objectives_of_another_form_are_refused(text):
    with pytest.raises(typer.BadParameter, match="--objectives"):
        objectives_of([text])
