import pytest

from chassis import settings


@pytest.fixture
def load(monkeypatch, tmp_path):
    """Returns a function: the settings of this service with some of them given."""
    for name in ("DATABASE_URL", "JWKS_FILE", "SIGNING_KEY_FILE", "REVOCATIONS_FILE"):
        monkeypatch.setenv(name, "/somewhere")
    (tmp_path / "secret").write_text("a secret")
    monkeypatch.setenv("SECRET_FILE", str(tmp_path / "secret"))

    def load(**given):
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        return settings.load("microservice4")

    return load


@pytest.mark.parametrize(
    "url",
    [
        "smtp://localhost",
        "smtp://shop:p%40ss@mail.example:587",
        "smtps://mail.example",
        "smtp://[::1]:25",
        "file:///var/a%20folder",
        "",
    ],
)
def test_a_mail_server_can_be_named(url, load):
    assert load(SMTP_URL=url).smtp_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.example",
        "mail.example",
        "smtp://",
        "file://",
        "smtp://shop:sec/ret@mail.example",
        "smtp://shop:secret@mail.example:99999",
        "smtp://[shop:secret@",
    ],
)
def test_a_mail_server_that_cannot_be_is_refused_without_repeating_the_password(url, load):
    with pytest.raises(settings.SettingsError, match="SMTP_URL must be like") as refusal:
        load(SMTP_URL=url)

    assert "secret" not in str(refusal.value)
    assert "sec/ret" not in str(refusal.value)


@pytest.mark.parametrize(
    "sender", ["shop@example.com", "Shop <shop@example.com>", "Zoë <z@bücher.de>"]
)
def test_a_sender_can_be_named(sender, load):
    assert load(MAIL_FROM=sender).mail_from == sender


@pytest.mark.parametrize(
    "sender",
    [
        "",
        "Shop",
        "shop@",
        "a@example.com, b@example.com",
        "a@example.com\nBcc: e@b.de",
        "zoë@example.com",
        "shop@exa_mple.com",
    ],
)
def test_a_sender_that_cannot_be_is_refused(sender, load):
    with pytest.raises(settings.SettingsError, match="MAIL_FROM"):
        load(MAIL_FROM=sender)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("", ""),
        ("https://shop.example", "https://shop.example"),
        ("https://shop.example/", "https://shop.example"),
        ("http://127.0.0.1:8080/my-shop", "http://127.0.0.1:8080/my-shop"),
    ],
)
def test_a_site_can_be_named(url, kept, load):
    assert load(PUBLIC_URL=url).public_url == kept


@pytest.mark.parametrize(
    "url",
    [
        "shop.example",
        "javascript:alert(1)",
        "https://",
        "https://shop.example/?a=b",
        "https://shop.example/#a",
        "https://shop.example/a b",
        "https://user:secret@shop.example",
        "https://shop.example\n",
    ],
)
def test_a_site_that_cannot_be_is_refused(url, load):
    with pytest.raises(settings.SettingsError, match="PUBLIC_URL must be like"):
        load(PUBLIC_URL=url)


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_a_limit_that_would_send_nothing_is_refused(number, load):
    with pytest.raises(settings.SettingsError, match="UNCONFIRMED_EMAILS_PER_DAY"):
        load(UNCONFIRMED_EMAILS_PER_DAY=number)
