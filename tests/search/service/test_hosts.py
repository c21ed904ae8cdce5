import pytest

from search.service.hosts import HostPort, parse_host


@pytest.mark.parametrize(
    ("text", "name", "port"),
    [
        ("Searches.Example.ORG.", "searches.example.org", None), ("a:8080", "a", 8080), ("A.:", "a", None),
        ("10.244.0.5:8099", "10.244.0.5", 8099), ("[::1]", "::1", None), ("[0:0:0:0:0:0:0:1]:80", "::1", 80),
        ("[2001:DB8::0:1]", "2001:db8::1", None), ("[::ffff:10.0.0.1]:1", "10.0.0.1", 1),
        ("my_service", "my_service", None),
    ],
)  # fmt: skip
def test_host_is_read_however_it_is_written(text, name, port):
    assert parse_host(text) == HostPort(name, port)


@pytest.mark.parametrize(
    "text", ["", ".", ":80", "a b", "a/b", "a@b", "a:b", "a:65536", "a:1:2", "[::1", "::1", "[evil]", "[1.2.3.4]x",
             "ä.example", "a\n", "a:\u0661", "http://a"]
)  # fmt: skip
def test_what_is_no_host_is_none(text):
    assert parse_host(text) is None


def test_port_that_is_not_written_is_the_schemes():
    assert [HostPort("a").port_for(scheme) for scheme in ("http", "https")] == [80, 443]
    assert HostPort("a", 0).port_for("https") == 0
