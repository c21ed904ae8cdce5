import pytest

from leni.errors import SpecError
from search.store.secrets import MASK, masked, masked_command, with_secrets

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:s3cr3t@h/d",
        "postgresql+psycopg://u:s3cr3t@h:5432/d?sslmode=require",
        "postgresql://u:a@b/s3cr3t@h/d",
        "mysql://:s3cr3t@h/d",
        "cannot open 'ftp://u:s3cr3t@h/x': refused",
        "simplecache::ftp://u:s3cr3t@h/x",
        "https://s3cr3t@github.example/x",
        "ray://u:s3cr3t@head:10001",
        "s3://b/run?key=s3cr3t",
        "s3://b/run?a=1&aws_secret_access_key=s3cr3t&z=2",
        "abfs://c@a/run?sig=s3cr3t;x=1",
        "https://h/x?API_KEY=s3cr3t#top",
        "--token=s3cr3t",
        "connection to host=h password=s3cr3t failed",
        "two: postgresql://u:s3cr3t@h/d and https://u:s3cr3t@h/d",
    ],
)
def test_masked_hides_the_secret_and_says_the_same_again(text):
    hidden = masked(text)
    assert SECRET not in hidden
    assert MASK in hidden
    assert masked(hidden) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user@host:5432/name",
        "postgresql://u:$PGPASSWORD@h/d",
        "s3://b/run?secret=${KEY}&region=eu",
        "http://127.0.0.1:8080/docs@v1",
        "ray://head:10001",
        "/data/a:b@c/run?x",
        "leni-search run --fix width=0.5 --out 'key=3/run'",
        "monkey=3",
    ],
)
def test_masked_leaves_what_is_no_secret(text):
    assert masked(text) == text


def test_masked_command_hides_the_word_after_a_secret_flag():
    words = ["x", "--token", SECRET, "--storage", f"postgresql://u:{SECRET}@h/d", f"--api-key={SECRET}", "--out", "o"]
    assert masked_command(words) == [
        "x", "--token", MASK, "--storage", "postgresql://u:***@h/d", f"--api-key={MASK}", "--out", "o"
    ]  # fmt: skip
    assert masked_command([]) == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("postgresql://u:$PART@h/d", "postgresql://u:a%2Fb%40c@h/d"),
        ("postgresql://u:${PART}@h/d?x=$PART", "postgresql://u:a%2Fb%40c@h/d?x=a%2Fb%40c"),
        ("sftp://u:$PART@h/d", "sftp://u:a/b@c@h/d"),
        ("s3://b/$PART/x?secret=$PART", "s3://b/$PART/x?secret=a/b@c"),
        ("postgresql://u:pa$PART@h/d", "postgresql://u:pa$PART@h/d"),
        ("postgresql://u:***@h/d", "postgresql://u@h/d"),
        ("/data/$PART", "/data/$PART"),
        ("auto", "auto"),
    ],
)
def test_with_secrets_fills_in_variables_and_leaves_a_masked_password_to_the_client(monkeypatch, address, expected):
    monkeypatch.setenv("PART", "a/b@c")
    assert with_secrets(address) == expected


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://u:$NOT_SET@h/d", r"NOT_SET, which is not set"),
        ("mysql://u:***@h/d", r"the secret of mysql://u:\*\*\*@h/d is not kept in spec.toml.*\$NAME"),
        ("s3://b/run?secret=***", "is not kept in spec.toml"),
    ],
)
def test_with_secrets_says_what_is_missing(monkeypatch, address, words):
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(SpecError, match=words):
        with_secrets(address)
