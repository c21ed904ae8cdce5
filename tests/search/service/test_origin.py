import pytest
from starlette.datastructures import Headers

from search.service.origin import foreign


@pytest.mark.parametrize(
    ("origin", "site", "host", "scheme", "refused"),
    [
        (None, None, "a.example", "http", False),  # no browser
        (None, "same-origin", "a.example", "http", False), (None, "none", "a.example", "http", False),
        (None, "same-site", "a.example", "http", True), (None, "cross-site", "a.example", "http", True),
        (None, "same-origin, cross-site", "a.example", "http", True), (None, "", "a.example", "http", True),
        ("https://a.example", "same-origin", "127.0.0.1:8080", "http", False),  # TLS ends before, Host is rewritten
        ("https://a.example", "cross-site", "a.example", "http", True),
        ("null", "same-origin", "a.example", "http", False),
        ("null", "cross-site", "a.example", "http", True), ("null", None, "a.example", "http", True),
        ("https://a.example", None, "a.example", "http", False),
        ("https://A.Example", None, "a.example.", "http", False),
        ("https://a.example", None, "a.example:443", "http", False),
        ("https://a.example:443", None, "a.example", "https", False),
        ("https://a.example:8443", None, "a.example", "https", True),
        ("http://a.example", None, "a.example", "https", True),
        ("http://a.example", None, "a.example", "http", False),
        ("http://a.example", None, "a.example:80", "http", False),
        ("https://evil.example", None, "a.example", "http", True),
        ("https://a.example.evil", None, "a.example", "http", True),
        ("https://[::1]:8080", None, "[0::1]:8080", "http", False), ("http://[::1", None, "[::1]", "http", True),
        ("file://a.example", None, "a.example", "http", True), ("https://x@a.example", None, "a.example", "http", True),
        ("https://a.example", None, "", "http", True), ("", None, "a.example", "http", True),
    ],
)  # fmt: skip
def test_page_of_another_site_is_told_from_our_own(origin, site, host, scheme, refused):
    given = {"host": host, "origin": origin, "sec-fetch-site": site}
    headers = Headers({name: value for name, value in given.items() if value is not None})
    assert foreign(headers, scheme) is refused
