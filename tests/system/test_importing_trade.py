"""scripts/import-trade against the whole running stack: exact, repeatable, and hard to fool."""

import contextlib
import csv
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.workbooks import online_retail, write_workbook

CHECKOUT = Path(__file__).parents[2]
IMPORT = CHECKOUT / "scripts" / "import-trade"
SAMPLE = CHECKOUT / "scripts" / "lib" / "sample-trade.csv"
ORDERS = 14
_SHOPS = count()  # by chance, two of some thirty would have a day in common in every third run
STAGES = ("users", "products", "opening stock", "returns", "orders")


class Shop:
    """One trade to import: the sample under invoice numbers, days and a name of its own, so that
    the tests do not see each other's."""

    def __init__(self, stack, folder):
        self.stack = stack
        self.prefix = f"{random.randrange(10**7, 10**8)}"
        self.first_day = date(1990, 1, 1) + timedelta(days=10 * next(_SHOPS))
        self.file = folder / f"trade-{self.prefix}.csv"
        self.write(SAMPLE.read_text(encoding="utf-8"))

    def write(self, text):
        text = text.replace("7000", self.prefix)
        for number in range(4):
            day = self.first_day + timedelta(days=number)
            text = text.replace(f"2011-03-{14 + number}", day.isoformat())
        self.file.write_text(text, encoding="utf-8")

    def invoice(self, number):
        return f"{self.prefix}{number:02}"

    def command(self, *words):
        return [IMPORT, self.file, "--url", self.stack.url, *words]

    def run(self, *words, **changes):
        return subprocess.run(
            self.command(*words),
            env=self.stack.env | changes,
            capture_output=True,
            text=True,
            timeout=150,
        )

    def start(self, *words):
        return subprocess.Popen(
            self.command(*words),
            env=self.stack.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


class Admin:
    """The administrator, with a plain client."""

    def __init__(self, stack):
        self.url = stack.url
        self.http = requests.Session()
        self.http.trust_env = False
        password = (stack.var / "secrets" / "admin.password").read_text().strip()
        body = {"username": "admin", "password": password}
        token = self.ask("POST", "/api/service1/tokens", json=body)["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method, path, **words):
        answer = self.http.request(method, self.url + path, timeout=10, **words)
        assert answer.ok, answer.text
        return answer.json(parse_float=Decimal)

    def orders(self, shop):
        """The orders of a shop's days, by reference."""
        found = self.ask(
            "GET",
            "/api/service3/orders",
            params={
                "from": shop.first_day.isoformat(),
                "to": (shop.first_day + timedelta(days=4)).isoformat(),
                "limit": 100,
            },
        )
        return {order["reference"]: order for order in found}

    def order(self, shop, number):
        found = self.orders(shop)[shop.invoice(number)]
        return self.ask("GET", f"/api/service3/orders/{found['id']}")

    def product(self, sku):
        (found,) = self.ask("GET", "/api/service2/products", params={"sku": sku})
        return found

    def entries(self, sku, reference):
        path = f"/api/service2/products/{self.product(sku)['id']}/stock"
        return [entry["delta"] for entry in self.ask("GET", path, params={"reference": reference})]


@pytest.fixture
def workbook(shop):
    """The shop's trade as a workbook beside its text file."""
    path = shop.file.with_suffix(".xlsx")
    write_workbook(path, shop.file.read_text(encoding="utf-8"))
    return path


@pytest.fixture
def admin(stack):
    return Admin(stack)


@pytest.fixture
def shop(stack, tmp_path):
    return Shop(stack, tmp_path)


@pytest.fixture
def imported(shop):
    """A shop whose trade is in the services."""
    assert_reconciled(shop.run())
    return shop


def assert_reconciled(done):
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Reconciled to the penny: 14 orders and 95 stock entries" in done.stdout


def assert_nothing_new(done):
    assert_reconciled(done)
    for stage in STAGES:
        *_, line = [line for line in done.stdout.splitlines() if line.startswith(f"{stage:<25}")]
        assert line.endswith(", none new"), line


def wait_for_line(process, start):
    """Read the output until a line begins so."""
    for line in process.stdout:
        if line.startswith(start):
            return
    pytest.fail(f"it ended before it said {start!r}: {process.stderr.read()}")


def test_a_trade_is_imported_as_the_file_has_it(shop, admin):
    done = shop.run()

    assert_reconciled(done)
    assert len(admin.orders(shop)) == ORDERS
    order = admin.order(shop, 4)
    assert [(item["sku"], item["quantity"], item["unit_price"]) for item in order["items"]][4:] == [
        ("41002", 1, Decimal("3.39")),
        ("41001A", 5, Decimal("2.55")),
        ("41001a", 5, Decimal("1.45")),
        ("41002", 2, Decimal("3.39")),
        ("41002", 1, Decimal("2.99")),
    ]
    assert order["placed_at"] == f"{shop.first_day}T09:00:00Z"
    user = admin.ask("GET", f"/api/service1/users/{order['user_id']}")
    assert (user["username"], user["email"]) == ("20001", "20001@customers.invalid")
    walk_in = admin.order(shop, 8)
    assert len(walk_in["items"]) == 66
    user = admin.ask("GET", f"/api/service1/users/{walk_in['user_id']}")
    assert user["username"] == "walk-in"


def test_a_workbook_is_imported_as_a_text_file_is(shop, workbook, admin):
    shop.file = workbook

    assert_reconciled(shop.run())

    assert len(admin.orders(shop)) == ORDERS
    assert admin.order(shop, 4)["placed_at"] == f"{shop.first_day}T09:00:00Z"
    assert_nothing_new(shop.run())


@pytest.mark.long
def test_the_published_data_set_is_imported_to_the_penny(stack, tmp_path):
    book = tmp_path / "Online Retail.xlsx"
    write_workbook(book, online_retail())

    def run():
        command = [IMPORT, book, "--url", stack.url]
        return subprocess.run(command, env=stack.env, capture_output=True, text=True)

    for _ in range(2):
        done = run()
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"2010-12-03 +49 +1,771 +13,138 +41,528.03", done.stdout)
        assert "Reconciled to the penny: 318 orders and 1,873 stock entries" in done.stdout
    assert done.stdout.count("none new") == len(STAGES)


def test_an_export_of_another_program_is_imported_when_its_form_is_named(shop, admin):
    rows = csv.reader(shop.file.read_text(encoding="utf-8").splitlines())
    header, *lines = rows
    columns = {name: place for place, name in enumerate(header)}
    with shop.file.open("w", encoding="windows-1252", errors="replace", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(header)
        for line in lines:
            at = datetime.fromisoformat(line[columns["InvoiceDate"]])
            line[columns["InvoiceDate"]] = f"{at:%d.%m.%Y %H:%M}"
            line[columns["UnitPrice"]] = line[columns["UnitPrice"]].replace(".", ",")
            writer.writerow(line)

    form = ("--encoding", "windows-1252")
    assert "--encoding windows-1252" in shop.run("--dry-run").stderr
    assert "--delimiter ';', and with --decimal ," in shop.run("--dry-run", *form).stderr
    form += ("--delimiter", ";", "--decimal", ",")
    assert "InvoiceDate is not written YYYY" in shop.run("--dry-run", *form).stderr
    assert_reconciled(shop.run(*form, "--date-format", "%d.%m.%Y %H:%M"))


def test_customers_whose_names_differ_in_case_are_one_account_in_file_and_services(shop, admin):
    name = f"c{shop.prefix}x"
    first, *lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    lines = [
        line.replace(",20001.0,", f",{name if place % 2 else name.upper()},")
        for place, line in enumerate(lines)
    ]
    shop.write("\n".join([first, *lines]) + "\n")

    assert_reconciled(shop.run())

    users = admin.ask("GET", "/api/service1/users", params={"username": name})
    assert [user["username"].lower() for user in users] == [name]
    orders = admin.ask("GET", "/api/service3/orders", params={"user_id": users[0]["id"]})
    assert admin.order(shop, 4)["user_id"] == users[0]["id"]
    assert len(orders) > 1


def test_a_demo_fills_the_shop_once(stack):
    first = stack.script("demo")
    second = stack.script("demo")

    for done in (first, second):
        assert "Reconciled to the penny: 14 orders and 95 stock entries" in done.stdout
        assert "/api/service3/reports/sales?from=2011-03-14" in done.stdout
    assert second.stdout.count("none new") == len(STAGES)
    assert stack.script("demo", "more", check=False).returncode == 2


def test_products_and_stock_are_as_the_file_has_them(imported, admin):
    opening = f"opening:{imported.file.name}"

    assert admin.entries("41008", opening) == [250_000]
    assert admin.entries("41001A", f"C{imported.invoice(5)}:1") == [2]
    assert admin.entries("41003", f"C{imported.invoice(13)}:2") == [4]
    assert admin.entries("41011", opening) == []
    assert admin.product("41007")["name"] == "41007"
    assert admin.product("41006")["name"] == "Łyżka drewniana"
    assert admin.product("41001A")["name"] != admin.product("41001a")["name"]
    assert admin.product("41005")["category"] == "Retail"


def test_rejected_lines_are_reported_one_by_one_with_the_reason(imported):
    report = imported.stack.var / "import" / f"{imported.file.name}.rejected.csv"

    with report.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert [int(row["line"]) for row in rows] == [35, 112, 113, 120, 121, 136]
    assert rows[0]["reason"] == "the price is zero"
    assert rows[2]["reason"] == "the quantity is negative on an invoice that is no cancellation"
    assert rows[5]["reason"] == "the quantity is positive on a cancellation"
    assert rows[0]["text"].startswith(imported.invoice(6))


def test_a_second_run_changes_nothing(imported, admin):
    before = admin.orders(imported)
    stock = admin.product("41001A")["stock"]

    assert_nothing_new(imported.run())

    assert admin.orders(imported) == before
    assert admin.product("41001A")["stock"] == stock


def test_other_trade_under_the_same_references_and_days_does_not_disturb_it(imported, admin):
    product = admin.product("41001A")
    stock = f"/api/service2/products/{product['id']}/stock"
    admin.ask("POST", stock, json={"delta": 50, "reason": "Delivery"})
    walk_in = admin.order(imported, 8)["user_id"]
    body = {
        "user_id": walk_in,
        "reference": imported.invoice(4),
        "placed_at": f"{imported.first_day}T10:00:00Z",
        "items": [{"product_id": product["id"], "quantity": 3}],
    }
    admin.ask("POST", "/api/service3/orders", json=body)

    assert_nothing_new(imported.run())


def test_a_second_run_after_a_prune_changes_nothing(imported, stack):
    for table, moment in (("idempotency_keys", "created_at"), ("inbox", "received_at")):
        for service in range(1, 5):
            age = f"UPDATE {table} SET {moment} = {moment} - interval '31 days'"
            name = f"microservice{service}"
            stack.function("as_owner", name, name, "--command", age)
    counted = stack.script("prune", "--dry-run").stdout
    pruned = stack.script("prune").stdout

    assert re.search(r"microservice4 +ids of events +30 days +[1-9][\d,]* due", counted)
    assert re.search(r"microservice4 +ids of events +30 days +[1-9][\d,]* pruned", pruned)
    assert len(re.findall(r"audit entries +kept for ever", pruned)) == 4  # asked as their owner
    assert_nothing_new(imported.run())


@pytest.mark.parametrize("stage", ["products", "returns"])
def test_killed_in_the_middle_a_second_run_finishes_the_job(shop, admin, stage):
    process = shop.start()
    wait_for_line(process, stage)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert_reconciled(shop.run())

    assert len(admin.orders(shop)) == ORDERS
    assert_nothing_new(shop.run())


def test_ctrl_c_ends_cleanly_and_says_how_to_go_on(shop):
    process = shop.start("--concurrency", "1")
    wait_for_line(process, "products")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()

    assert process.returncode == 130
    assert "running this again finishes the job" in told
    assert "Traceback" not in told
    assert_reconciled(shop.run())


def test_answers_that_are_lost_on_the_way_double_nothing(shop, admin):
    with LossyRoad(urlsplit(shop.stack.url)) as road:
        done = shop.run("--url", road.url)

    assert road.lost > 20
    assert_reconciled(done)
    assert len(admin.orders(shop)) == ORDERS
    assert_nothing_new(shop.run())


def test_a_cancelled_order_is_found_and_named(imported, admin):
    order = admin.order(imported, 7)
    admin.ask("PATCH", f"/api/service3/orders/{order['id']}", json={"status": "cancelled"})

    done = imported.run()

    assert done.returncode == 1
    assert f"invoice {imported.invoice(7)} (order {order['id']}): status cancel" in done.stdout
    assert f"{imported.first_day}: the services hold" in done.stdout
    assert len(admin.orders(imported)) == ORDERS


def test_a_stock_entry_that_the_file_does_not_make_is_found_and_named(imported, admin):
    path = f"/api/service2/products/{admin.product('41003')['id']}/stock"
    reference = f"C{imported.invoice(13)}:9"
    admin.ask("POST", path, json={"delta": 1, "reason": "Mistake", "reference": reference})

    done = imported.run()

    assert done.returncode == 1
    assert f"product 41003: stock entry {reference} of +1 is none of the file's" in done.stdout


def test_another_file_of_the_same_name_is_stopped_before_it_orders(imported, admin):
    text = imported.file.read_text(encoding="utf-8")
    more = text.splitlines()[1].replace(imported.invoice(1), f"{imported.prefix}99")
    imported.file.write_text(f"{text}{more}\n", encoding="utf-8")

    done = imported.run()

    assert done.returncode == 1
    assert "was another file of this name imported before?" in done.stderr
    assert len(admin.orders(imported)) == ORDERS


def test_an_account_of_somebody_else_gets_no_orders(shop, admin):
    name = f"c{shop.prefix}"
    body = {"username": name, "email": f"{name}@elsewhere.invalid", "password": "long enough"}
    admin.ask("POST", "/api/service1/users", json=body)
    shop.write(SAMPLE.read_text(encoding="utf-8").replace("20001.0", name))

    done = shop.run()

    assert done.returncode == 1
    assert f"user {name}: the user name or {name}@customers.invalid belongs to" in done.stderr
    assert admin.orders(shop) == {}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda data: data.replace(b"UnitPrice", b"Cost", 1), "column UnitPrice is missing"),
        (lambda data: data.replace("Café".encode(), b"Caf\xe9", 1), "byte 0xe9 is not UTF-8"),
        (lambda data: data + b'7000991,A,"no end', "a quoted field is opened that never ends"),
        (lambda data: data.split(b"\n")[0], "has no line below its first"),
        (lambda data: b"", "is empty"),
        (lambda data: data.replace(b"2011-03-", b"14/03/"), "none of its 186 lines can be read"),
    ],
)
def test_a_malformed_file_is_refused_before_anything_is_written(shop, admin, spoil, told):
    text = SAMPLE.read_text(encoding="utf-8").replace("20001.0", f"c{shop.prefix}")
    shop.file.write_bytes(spoil(text.encode()))

    done = shop.run()

    assert done.returncode == 2
    assert told in done.stderr
    assert "Nothing was imported." in done.stderr
    users = admin.ask("GET", "/api/service1/users", params={"username": f"c{shop.prefix}"})
    assert users == []


def test_malformed_lines_are_rejected_by_name_and_the_others_imported(shop, admin):
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    lines[1] = lines[1].replace(",2011", ",six,2011")
    lines[2:3] = ['700001,40190,"over', 'two lines",6,2011-03-14 08:26:00,4.95,20001.0,UK']
    shop.write("\n".join(lines) + "\n")

    done = shop.run()

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 9 fields where the first line has 8" in done.stdout
    assert "2 a quoted field runs over the end of its line" in done.stdout
    assert len(admin.order(shop, 1)["items"]) == 5


def test_a_dry_run_says_what_would_be_done_and_calls_nobody(shop, tmp_path):
    done = shop.run("--dry-run", "--url", "http://127.0.0.1:1", QUARTET_VAR=str(tmp_path / "var"))

    assert done.returncode == 0
    assert "14 of 174 lines; 2 invoices of rejected lines alone left out" in done.stdout
    assert "line 35: the price is zero" in done.stdout
    assert "nothing was changed" in done.stdout
    assert not (tmp_path / "var").exists()


def test_a_wrong_password_and_a_silent_address_are_told_soon(shop, tmp_path):
    wrong = tmp_path / "password"
    wrong.write_text("not the password\n")

    done = shop.run("--password-file", wrong)
    assert done.returncode == 1
    assert "bad_credentials" in done.stderr

    began = time.monotonic()
    done = shop.run("--url", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert "no answer" in done.stderr
    assert time.monotonic() - began < 15

    done = shop.run("--password-file", tmp_path / "absent")
    assert done.returncode == 2


@pytest.mark.parametrize(
    "words", [["--no-such-option"], ["--concurrency", "0"], ["--url", "ftp://x"]]
)
def test_wrong_usage_is_told_apart(shop, words):
    assert shop.run(*words).returncode == 2


def test_a_terminal_sees_a_bar(shop):
    ours, theirs = os.openpty()
    process = subprocess.Popen(shop.command(), env=shop.stack.env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # what Linux says when the other side has closed
        while chunk := os.read(ours, 65_536):
            shown += chunk
    os.close(ours)

    assert process.wait() == 0
    assert b"\rorders " in shown
    assert b"[#" in shown
    assert b"Reconciled to the penny" in shown


class LossyRoad:
    """A way to the stack that passes every request on, and loses every fifth answer: the write
    has happened, and the client cannot know."""

    def __init__(self, target):
        self.target = (target.hostname, target.port)
        self.lost = 0
        self._answers = 0
        self._lock = threading.Lock()

    def __enter__(self):
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._receive, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._door.close()

    def _receive(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._door.accept()
                server = socket.create_connection(self.target)
                for work in (self._pass_on, self._bring_back):
                    threading.Thread(target=work, args=(client, server), daemon=True).start()

    def _pass_on(self, client, server):
        with contextlib.suppress(OSError):
            while data := client.recv(65_536):
                server.sendall(data)
        self._hang_up(client, server)

    def _bring_back(self, client, server):
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                if self._loses_this():
                    break
                client.sendall(data)
        self._hang_up(client, server)

    def _loses_this(self):
        with self._lock:
            self._answers += 1
            lost = self._answers % 5 == 0
            self.lost += lost
            return lost

    def _hang_up(self, *sockets):
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
