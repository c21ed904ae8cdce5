import pytest
from starlette.datastructures import Headers

from leni.errors import SpecError
from search.service.forwarded import Proxies, Seen, clean_prefix

PEER = "10.0.0.9"
NETWORKS = ("10.0.0.0/8", "fd00::/8", "192.0.2.7")


def seen(*lines, peer=PEER, trusted=NETWORKS):
    raw = [(name.lower().encode(), value.encode()) for name, value in lines]
    return Proxies(trusted).seen(Headers(raw=raw), peer)


@pytest.mark.parametrize(
    ("peer", "trusted", "believed"),
    [
        ("10.255.0.1", ("10.0.0.0/8",), True), ("11.0.0.1", ("10.0.0.0/8",), False), ("192.0.2.7", ("192.0.2.7",),
        True),
        ("::ffff:10.0.0.1", ("10.0.0.0/8",), True), ("10.0.0.1", ("::ffff:10.0.0.0/104",), True),
        ("fd00::1", ("fd00::/8",), True), ("fe80::1%eth0", ("fe80::/10",), True), ("fd00::1", ("10.0.0.0/8",), False),
        (None, ("unix",), True), (None, ("0.0.0.0/0", "::/0"), False), ("10.0.0.1", ("unix",), False),
        ("testclient", ("0.0.0.0/0",), False), ("", ("0.0.0.0/0",), False), ("10.0.0.1", (), False),
        ("10.0.0.1", ("10.0.0.9/8",), True),
    ],
)  # fmt: skip
def test_only_the_named_addresses_and_networks_are_believed(peer, trusted, believed):
    found = seen(("X-Forwarded-For", "203.0.113.4"), ("X-Forwarded-Proto", "https"), peer=peer, trusted=trusted)
    assert found == (Seen("203.0.113.4", "https") if believed else Seen())


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["203.0.113.4"], "203.0.113.4"), (["203.0.113.4:55555"], "203.0.113.4"), (["[2001:db8::5]:80"], "2001:db8::5"),
        (["2001:db8::5"], "2001:db8::5"), (["1.1.1.1, 203.0.113.4"], "203.0.113.4"),
        (["1.1.1.1, 203.0.113.4, 10.0.0.3"], "203.0.113.4"),
        (["1.1.1.1", "203.0.113.4, 10.0.0.3 , 192.0.2.7"], "203.0.113.4"),
        (["10.0.0.2, 10.0.0.3"], "10.0.0.2"), (["unknown"], None), (["1.1.1.1, unknown"], None), (["\x1b[31m"], None),
        (["unknown, 10.0.0.3"], None), ([""], None),
    ],
)  # fmt: skip
def test_client_is_the_last_who_is_no_trusted_proxy(lines, client):
    assert seen(*(("X-Forwarded-For", line) for line in lines)).client == client


def test_what_the_client_wrote_itself_before_the_proxies_is_not_reached():
    lines = (
        ("X-Forwarded-For", "6.6.6.6, 203.0.113.4, 10.0.0.3"),
        ("X-Forwarded-Proto", "http, https, http"),
        ("X-Forwarded-Host", "evil.example, a.example:8443, inner"),
    )
    assert seen(*lines) == Seen("203.0.113.4", "https", "a.example:8443")
    assert seen(*lines, trusted=("10.0.0.9",)) == Seen("10.0.0.3", "http", "inner")


def test_proxies_that_overwrite_a_header_are_believed_as_those_that_append():
    lines = (("X-Forwarded-For", "203.0.113.4, 10.0.0.3"), ("X-Forwarded-Proto", "HTTPS"))
    assert seen(*lines) == Seen("203.0.113.4", "https")


@pytest.mark.parametrize("host", ["evil.example/path", "a b", "http://a", "a@b", "a:99999"])
def test_host_that_is_none_is_not_taken(host):
    assert seen(("X-Forwarded-Host", host), ("X-Forwarded-Proto", "gopher")) == Seen()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["for=203.0.113.4;proto=https;host=a.example"], Seen("203.0.113.4", "https", "a.example")),
        (['For="[2001:db8::5]:47011"; Proto=http ;by=10.0.0.1'], Seen("2001:db8::5", "http")),
        (['for=6.6.6.6;host="evil, \\"x\\"", for=203.0.113.4;proto=https;host="a.example:8443"'],
         Seen("203.0.113.4", "https", "a.example:8443")),
        (["for=203.0.113.4;proto=https", "for=10.0.0.3;proto=http"], Seen("203.0.113.4", "https")),
        (["for=_hidden;proto=https"], Seen(None, "https")), (["for=203.0.113.4;;"], Seen()), (["nonsense"], Seen()),
        (['for="203.0.113.4'], Seen()), (["for=203.0.113.4,"], Seen()), ([""], Seen()),
    ],
)  # fmt: skip
def test_forwarded_is_read_as_its_rfc_says(lines, expected):
    assert seen(*(("Forwarded", line) for line in lines)) == expected


def test_forwarded_is_not_read_beside_the_headers_of_a_proxy_that_hands_it_on():
    found = seen(("Forwarded", "for=6.6.6.6;host=evil.example"), ("X-Forwarded-For", "203.0.113.4"))
    assert found == Seen("203.0.113.4")


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("", ""), ("/", ""), ("/leni", "/leni"), ("/tools/leni-search/", "/tools/leni-search"), ("leni", None),
        ("//evil.example", None), ("/a//b", None), ("/a/../b", None), ("/.", None), ("/a b", None), ("/a%2f", None),
        ("/a;b", None), ('/"x', None), ("/" + "a" * 300, None), ("/a\n", None), ("http://a", None),
    ],
)  # fmt: skip
def test_prefix_is_a_plain_path_or_none(text, prefix):
    assert clean_prefix(text) == prefix


def test_prefixes_of_several_proxies_stand_behind_one_another():
    assert seen(("X-Forwarded-Prefix", "/tools, /leni/")).prefix == "/tools/leni"
    assert seen(("X-Forwarded-Prefix", "/tools, //evil.example")).prefix is None
    assert seen(("X-Forwarded-Prefix", "/tools"), peer="8.8.8.8").prefix is None


@pytest.mark.parametrize("name", ["", "proxy", "10.0.0.0/33", "10.0.0.1:80", "*", "unix:/run/x"])
def test_proxy_that_is_no_address_is_a_sentence(name):
    with pytest.raises(SpecError, match="--trusted-proxy must be"):
        Proxies((name,))
