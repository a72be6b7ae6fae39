import pytest

from chassis import migrate
from chassis.migrate import Migration, MigrationError
from chassis.settings import SERVICES


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_begins_with_what_the_chassis_needs(service):
    names = [migration.name for migration in migrate.migrations_of(service)]

    assert names[0] == "chassis/0001_create_outbox.sql"
    assert len(set(names)) == len(names)


def test_a_badly_named_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "mine/migrations").mkdir(parents=True)
    (tmp_path / "mine/migrations/1-first.sql").write_text("SELECT 1")
    monkeypatch.setattr(migrate, "_ROOT", tmp_path)

    with pytest.raises(MigrationError, match=r"0001_create_products\.sql"):
        migrate.migrations_of("mine")


def test_the_checksum_follows_the_text():
    assert Migration("a", "SELECT 1").checksum != Migration("a", "SELECT 2").checksum
