"""What a service derives fingerprints and cursors from: its own, whatever key it signs with."""

import pytest

from chassis import settings, testing


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return testing.make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def load(monkeypatch, tmp_path):
    """Returns a function: the settings of a service whose file of its secret holds this."""
    for name in ("DATABASE_URL", "JWKS_FILE", "SIGNING_KEY_FILE", "REVOCATIONS_FILE"):
        monkeypatch.setenv(name, "/somewhere")
    monkeypatch.setenv("SECRET_FILE", str(tmp_path / "secret"))

    def load(text):
        (tmp_path / "secret").write_text(text)
        return settings.load("microservice4")

    return load


def test_a_secret_is_the_services_own_and_the_same_in_all_its_processes(folder):
    def secret(name, purpose):
        return testing.make_service(name, "", folder).secret(purpose)

    own = secret("microservice2", "cursors")

    assert len(own) == 32
    assert secret("microservice2", "cursors") == own
    assert secret("microservice2", "other") != own
    assert secret("microservice3", "cursors") != own


def test_a_new_signing_key_changes_no_secret(folder):
    service = testing.make_service("microservice2", "", folder)
    before = service.secret("cursors")
    (folder / "microservice2.pem").unlink()
    testing.make_keys(folder)

    assert testing.make_service("microservice2", "", folder).secret("cursors") == before


def test_a_secret_is_shown_nowhere(load):
    read = load("a secret of this service\n")

    assert read.secret == "a secret of this service"
    assert "a secret" not in repr(read)


def test_an_empty_secret_is_refused(load):
    with pytest.raises(settings.SettingsError, match="SECRET_FILE"):
        load("\n")
