import pytest

from search.store.postgres import with_driver


@pytest.mark.parametrize(("here", "driver"), [(None, "postgresql+psycopg"), (object(), "postgresql")])
def test_address_names_the_driver_that_is_here(monkeypatch, here, driver):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: here)
    assert with_driver("postgresql://me@host/name?host=/run") == f"{driver}://me@host/name?host=/run"


@pytest.mark.parametrize("url", ["sqlite:///a.db", "postgresql+psycopg2://h/n", "mysql://h/n"])
def test_address_of_another_database_or_driver_stays(url):
    assert with_driver(url) == url
