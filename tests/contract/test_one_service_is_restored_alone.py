"""Each service alone goes back to a backup, and the services are made to agree again."""

import io
from dataclasses import replace
from types import SimpleNamespace

import pytest

import microservice1.commands
import microservice3.commands
from chassis import testing
from chassis.settings import SERVICES
from microservice1.logic import settling as users_settling
from microservice2.logic import settling as products_settling
from microservice3.logic import settling as orders_settling
from tests.administrators import ADMINISTRATOR
from tests.restoring import FORGOTTEN, broken_promises, remember, skip_ids

RAISE = {
    "microservice1": users_settling.raise_versions,
    "microservice2": products_settling.raise_versions,
    "microservice3": orders_settling.raise_versions,
}


@pytest.fixture
def trade(shop, admin_of, a_user, a_product, keys, databases, monkeypatch, tmp_path):
    """A shop with customers and orders: what was before the backup, and `go_on()` for after it."""
    notifications = shop.services["microservice4"]
    mailed = replace(notifications.settings, smtp_url=f"file://{tmp_path}")
    monkeypatch.setattr(notifications, "settings", mailed)
    with shop.services["microservice1"].active():
        users_settling.announce_again([ADMINISTRATOR])  # the tests enter one behind Users' back
    users = {
        name: a_user(name, f"{name}@example.com", points=1000) for name in ("ada", "bob", "eve")
    }
    lamp = a_product(stock=1000)
    admin = {name: admin_of(name) for name in SERVICES}

    def order(name, **fields):
        client = testing.Client(shop.apps["microservice3"], testing.user_token(keys, users[name]))
        body = {"items": [{"product_id": lamp, "quantity": 2}], **fields}
        answer = client.post("/orders", json=body)
        assert answer.status_code in (201, 202), answer.text
        return answer.json["id"]

    def change(name, **fields):
        answer = admin["microservice1"].patch(f"/users/{users[name]}", json=fields)
        assert answer.status_code == 200, answer.text

    def delete(name):
        assert admin["microservice1"].delete(f"/users/{users[name]}").status_code == 204

    def set_status(order_id, status):
        answer = admin["microservice3"].patch(f"/orders/{order_id}", json={"status": status})
        assert answer.status_code == 200, answer.text

    early = [order("ada", redeem_points=100), order("bob"), order("eve")]
    shop.work()

    def go_on():
        for number in range(4):
            change("ada", full_name=f"Ada {number}")
        change("ada", email="moved@example.com")
        users["new"] = a_user("new", "new@example.com")
        users["gone"] = a_user("gone", "gone@example.com")
        order("new")
        shop.work()
        delete("eve")
        delete("gone")
        set_status(early[0], "shipped")
        set_status(early[0], "delivered")
        set_status(early[1], "cancelled")
        order("ada", redeem_points=200)
        admin["microservice2"].post(
            f"/products/{lamp}/stock", json={"delta": 5, "reason": "delivery"}
        )
        admin["microservice2"].patch(f"/products/{lamp}", json={"name": "Lamp"})
        shop.work()

    def letter(order_id):
        ((status, recipient),) = testing.query(
            databases("microservice4"),
            "SELECT status, recipient FROM notifications WHERE order_id = %(id)s",
            id=order_id,
        )
        return status, recipient

    return SimpleNamespace(
        users=users, early=early, order=order, change=change, go_on=go_on, letter=letter
    )


@pytest.fixture
def settle(shop, postgres, monkeypatch):
    """Returns a function that does what scripts/settle does. Returns what was broken before."""

    def command(module, lines):
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
        with (
            shop.services[module.__name__.partition(".")[0]].active(),
            pytest.raises(SystemExit) as end,
        ):
            module.settle()
        assert not end.value.code

    def settle():
        broken = broken_promises(postgres)
        about = sorted({line.split()[0] for line in broken})
        command(microservice3.commands, [word for word in about if word.isdecimal()])
        command(microservice1.commands, [word for word in about if word.startswith("user/")])
        shop.work()
        return broken

    return settle


@pytest.fixture
def restored(shop, trade, databases):
    """Returns a function: the shop goes on, and then one service is as it was before."""

    def restored(name):
        restore = remember(databases(name))
        trade.go_on()
        restore()
        skip_ids(databases(name))
        if name in RAISE:
            with shop.services[name].active():
                RAISE[name](FORGOTTEN)

    return restored


def test_without_a_restore_all_promises_are_kept(trade, postgres):
    assert broken_promises(postgres) == []
    trade.go_on()
    assert broken_promises(postgres) == []


@pytest.mark.parametrize("name", SERVICES)
def test_after_a_restore_the_services_are_made_to_agree(name, restored, settle, postgres, trade):
    restored(name)

    broken = settle()

    assert broken
    assert broken_promises(postgres) == []
    assert settle() == []
    order = trade.order("ada")
    settle()
    assert trade.letter(order)[1] is not None


def test_notifications_hears_of_everybody_again(shop, restored, settle, trade, databases):
    restored("microservice4")
    waiting = trade.order("new")
    settle()

    assert trade.letter(waiting) == ("sent", "new@example.com")
    order = trade.order("ada")
    shop.work()
    assert trade.letter(order) == ("sent", "moved@example.com")
    deleted = "SELECT user_id FROM contacts WHERE deleted ORDER BY user_id"
    assert testing.query(databases("microservice4"), deleted) == [
        (trade.users["eve"],),
        (trade.users["gone"],),
    ]


def test_what_users_tells_after_a_restore_is_news(shop, restored, trade):
    restored("microservice1")

    trade.change("ada", email="newest@example.com")
    shop.work()
    order = trade.order("ada")
    shop.work()

    assert trade.letter(order)[1] == "newest@example.com"


def test_who_was_deleted_is_deleted_again(restored, settle, trade, admin_of):
    restored("microservice1")
    assert admin_of("microservice1").get(f"/users/{trade.users['eve']}").status_code == 200

    settle()

    assert admin_of("microservice1").get(f"/users/{trade.users['eve']}").status_code == 404


def test_what_orders_tells_after_a_restore_is_news(shop, restored, trade, admin_of, databases):
    """The order was delivered already, and Orders has forgotten that: its versions were lower."""
    restored("microservice3")

    path = f"/orders/{trade.early[0]}"
    answer = admin_of("microservice3").patch(path, json={"status": "shipped"})
    assert answer.status_code == 200, answer.text
    shop.work()

    told = testing.query(
        databases("microservice4"),
        """
        SELECT status, last_error
          FROM notifications
         WHERE order_id = %(id)s
           AND event_type = 'order.shipped'
        """,
        id=trade.early[0],
    )
    assert told == [("sent", None)] * 2


def test_a_version_that_was_seen_before_the_restore_is_never_given_out_again(
    shop, trade, admin_of, databases
):
    """Else an edit with `If-Match` would overwrite what its author has never seen."""
    users, path = admin_of("microservice1"), f"/users/{trade.users['bob']}"
    restore = remember(databases("microservice1"))
    trade.change("bob", full_name="Bob 1")
    seen = users.get(path).headers["ETag"]
    restore()
    with shop.services["microservice1"].active():
        RAISE["microservice1"](FORGOTTEN)
    trade.change("bob", full_name="Somebody else's words")

    answer = users.patch(path, json={"full_name": "Bob 2"}, headers={"If-Match": seen})

    assert answer.status_code == 412
