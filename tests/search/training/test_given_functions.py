"""Functions that are given instead of named: their names, and their way to another process."""

import functools
import subprocess
import sys
import threading

import cloudpickle
import pytest
from plugin_evaluators import by_width

from leni.errors import SpecError
from search.training.given_functions import (
    function_name,
    given_function,
    keep_function,
    label_of,
    module_of,
    packed,
)
from search.training.user_functions import load_function


class Scaled:
    """A callable object, and as a class one that is made for each call."""

    def __init__(self, factor=3):
        self.factor = factor

    def __call__(self, config, report):
        return {"loss": config["x"] * self.factor}


def closure(factor):
    def inner(config, report):
        return {"loss": config["x"] * factor}

    return inner


def test_function_of_a_module_is_named_by_it():
    assert function_name(by_width) == "plugin_evaluators:by_width"
    assert given_function("plugin_evaluators:by_width") is None
    assert packed("plugin_evaluators:by_width") is None


@pytest.mark.parametrize(
    ("function", "label", "loss"),
    [
        (closure(5), "inner", 10),
        (lambda config, report: {"loss": 1}, "lambda", 1),
        (functools.partial(lambda scale, config, report: {"loss": scale}, 7), "lambda", 7),
        (Scaled(4), "Scaled", 8),
    ],
)
def test_any_other_is_kept_under_a_name_of_its_own(function, label, loss):
    name = function_name(function)
    assert (name.startswith(f"<{label} "), label_of(name), module_of(name)) == (True, label, __name__)
    assert load_function(name)({"x": 2}, None) == {"loss": loss}
    code = packed(name)
    keep_function("<another>", code)
    assert given_function("<another>")({"x": 2}, None) == {"loss": loss}


def test_functions_that_differ_have_names_that_differ():
    assert function_name(closure(5)) == function_name(closure(5)) != function_name(closure(6))


def test_class_stands_for_an_object_for_each_call():
    assert load_function(function_name(Scaled))({"x": 2}, None) == {"loss": 6}


def test_another_process_has_the_function_by_value():
    code = cloudpickle.dumps(closure(5)).hex()
    text = f"import cloudpickle; print(cloudpickle.loads(bytes.fromhex('{code}'))({{'x': 2}}, None))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'loss': 10}"


def test_function_of_another_process_is_asked_for_in_a_sentence():
    with pytest.raises(SpecError, match=r"search\.resume\(folder, evaluator=train\)"):
        load_function("<train 0a1b2c3d>")


def test_what_cannot_be_sent_is_refused():
    lock = threading.Lock()
    with pytest.raises(SpecError, match=r"evaluator cannot be sent to workers, because .* cannot be pickled"):
        function_name(lambda config, report: lock)
    with pytest.raises(SpecError, match="costs must be a function or its name module:function, got 3"):
        function_name(3, what="costs")
