import pytest

from leni.errors import LeniSearchError, SpecError
from search.service.settings import Settings
from search.service.specs import accept
from search.spec import Spec


@pytest.fixture
def allowed(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "secret")
    return Settings(tmp_path, evaluators=("plugin_evaluators:known",), data_folders=(tmp_path / "data",), trials=100)


def refusal(keys, settings) -> str:
    with pytest.raises(LeniSearchError) as refused:
        accept(keys, settings)
    return str(refused.value)


def test_spec_is_the_one_that_the_command_makes(allowed):
    keys = {"trials": 5, "fix": {"lr_factor": 1.0}, "objectives": ["accuracy", "macs"], "epochs": None}
    assert accept(keys, allowed) == Spec(trials=5, fix={"lr_factor": 1.0}, objectives=("accuracy", "macs"))


SAME = [{"trails": 3}, {"trials": 0}, {"data": "digit"}, {"space": "chanel"}, {"sampler": "tpo"}, {"fix": {"lr": 3}},
        {"training": {"learning": 3}}, {"objectives": ["params"]}, {"min_params": 5, "max_params": 3}]  # fmt: skip


@pytest.mark.parametrize("keys", SAME, ids=str)
def test_mistake_has_the_sentence_of_the_command(allowed, keys):
    with pytest.raises(LeniSearchError) as refused:
        Spec(**keys)
    assert refusal(keys, allowed) == str(refused.value)


@pytest.mark.parametrize("key", ["out", "storage", "checkpoints", "address", "download", "enqueue", "warm_start"])
def test_keys_that_are_the_services_are_refused_whatever_they_say(allowed, key):
    assert refusal({key: "x"}, allowed).startswith(f"{key} cannot be set")
    assert refusal({key: False}, allowed).startswith(f"{key} cannot be set")


@pytest.mark.parametrize("space", ["/etc/space.toml", "../a.toml", "a.toml", "/etc/passwd"])
def test_space_that_is_a_file_is_refused_unread(allowed, space):
    assert "names no file" in refusal({"space": space}, allowed)


@pytest.mark.parametrize("evaluator", ["os:system", "plugin_evaluators:other", "plugin_evaluators:known ", ["x"], 3])
def test_evaluator_that_is_not_on_the_list_is_refused_unimported(allowed, evaluator):
    assert "is not allowed" in refusal({"evaluator": evaluator}, allowed)


def test_data_of_a_function_is_refused_unimported(allowed):
    for data in ("os:system", "plugin_evaluators:known", ":"):
        assert "a submitted spec names no function" in refusal({"data": data}, allowed)


@pytest.mark.parametrize("key", ["costs", "resources"])
def test_functions_beside_the_evaluator_must_be_on_the_list_and_expressions_need_not(allowed, key):
    for function in ("os:system", "<train 0a1b2c3d>"):
        assert f"{key} {function!r} is not allowed" in refusal({key: function}, allowed)
    assert accept({"resources": {"cpus": "1 + (params > 9)"}}, allowed).resources == {"cpus": "1 + (params > 9)"}
    assert accept({key: "plugin_evaluators:known"}, allowed)


def test_evaluator_on_the_list_is_taken(allowed):
    assert accept({"evaluator": "plugin_evaluators:known"}, allowed).evaluator == "plugin_evaluators:known"


@pytest.mark.parametrize("folder", ["/etc", "{data}/../secret", "{data}/link", "{data}x", "", "\x00", ["x"]])
def test_data_folder_outside_of_the_list_is_refused(allowed, folder):
    named = folder.format(data=allowed.data_folders[0]) if isinstance(folder, str) else folder
    assert "data_folder" in refusal({"data": "cifar10", "data_folder": named}, allowed) or "\x00" in str(folder)


def test_data_folder_on_the_list_reaches_the_usual_sentence(allowed):
    sentence = refusal({"data": "cifar10", "data_folder": str(allowed.data_folders[0])}, allowed)
    assert sentence.startswith("the files of cifar10 were not found")


HOSTILE = {
    "infinite": {"fix": {"lr_factor": float("inf")}},
    "no number": {"training": {"lr": float("nan")}},
    "half a character": {"fix": {"activation": "\ud800"}},
    "null character": {"data": "digits\x00"},
    "deep": {"fix": __import__("functools").reduce(lambda inner, _: [inner], range(5000), 1)},
    "huge": {"cpus_per_trial": 10**400},
    "too many": {"trials": 101},
    "other machines": {"loggers": ["wandb"]},
    "no texts": {"loggers": [3]},
    "no set": {"data": "imagenet"},
    "a size": {"image_size": 32},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_values_are_one_sentence(allowed, case):
    sentence = refusal(HOSTILE[case], allowed)
    assert "\n" not in sentence
    assert len(sentence) < 600


def test_settings_refuse_what_cannot_be_allowed(tmp_path):
    for wrong in ({"evaluators": ("os",)}, {"data_folders": (tmp_path / "no",)}, {"at_once": 0}):
        with pytest.raises(SpecError):
            Settings(tmp_path, **wrong)
