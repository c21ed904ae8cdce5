from leni.near_names import did_you_mean, near_names


def test_near_names_are_the_similar_ones_nearest_first():
    assert near_names("rellu", ["leni", "prelu", "gelu", "relu"]) == " (near: relu, prelu, gelu)"
    assert near_names("xyz", ["relu"]) == near_names("relu", []) == ""


def test_did_you_mean_has_one_name_or_all():
    assert did_you_mean("epoch", ["seeds", "epochs"], otherwise="keys are") == "did you mean 'epochs'?"
    assert did_you_mean("zz", (name for name in ("b", "a")), otherwise="there are") == "there are b, a"
