import pytest

from leni.errors import SpecError
from search.training.user_functions import load_function


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nothing", "module:function"),
        ("no_such:f", "cannot import"),
        ("math:nothing", "no function"),
        ("math:pi", "not"),
    ],
)
def test_load_function_says_what_is_wrong(path, words):
    with pytest.raises(SpecError, match=words):
        load_function(path)
