"""New signing keys under load, HTTPS, and the way of a request: on a host."""

import json
import re
import time

import pytest

from chassis.settings import SERVICES
from tests.host.asking import trade
from tests.system.front_door import wait_for

# prints status and chosen headers of one request, made from outside or by the host itself
CALL = """
import http.client, json, ssl, sys
scheme, address, path, ca, token = sys.argv[1:]
if scheme == "https":
    context = ssl.create_default_context(cafile=ca)
    connection = http.client.HTTPSConnection(address, context=context, timeout=10)
else:
    connection = http.client.HTTPConnection(address, timeout=10)
headers = {"Authorization": f"Bearer {token}"} if token else {}
connection.request("POST" if path.endswith("tokens") else "GET", path, headers=headers)
answer = connection.getresponse()
print(json.dumps({"status": answer.status, **{k.lower(): v for k, v in answer.getheaders()}}))
"""
ASK_PLAINLY_OFTEN = """
import re, socket, sys
request, last = "GET /a HTTP/1.1\\r\\nHost: shop\\r\\n", "Connection: close\\r\\n\\r\\n"
with socket.create_connection((sys.argv[1], 80), timeout=9) as connection:
    connection.sendall(((request + "\\r\\n") * 4000 + request + last).encode())
    answers = connection.makefile("rb").read().decode()
print(*sorted(set(re.findall(r"^HTTP/1.1 (\\d+)", answers, re.M))))
"""
CA = "/etc/microservices/tls/ca.pem"
MAIL = "/var/lib/microservice4/mail"


def call(host, scheme, address, path="/api/service2/products", token=""):
    return json.loads(host.output("python3", "-c", CALL, scheme, address, path, CA, token))


def status_of_account(host, token):
    return call(host, "http", "127.0.0.1", "/api/service1/users/me", token)["status"]


@pytest.fixture
def address(host):
    """The machine's own address, which is not loopback: as from outside."""
    return host.output("hostname", "-I").split()[0]


def published(host):
    return json.loads(host.output("cat", "/etc/microservices/jwks.json"))["keys"]


def test_nobody_notices_that_keys_are_rotated(host, under_load):
    before = {key["kid"] for key in published(host)}
    with under_load() as load:
        host.run("scripts/keys", "rotate")

    live = {key["iss"]: key["kid"] for key in published(host) if "exp" not in key}
    assert sorted(live) == sorted(SERVICES)
    assert not before & set(live.values())
    assert before <= {key["kid"] for key in published(host)}
    load.assert_nobody_was_refused()


def test_an_order_goes_through_with_new_keys(host):
    host.run("scripts/keys", "rotate", "microservice2", "microservice3")

    token = host.output("scripts/token")
    smoke_test = ("python3", "scripts/lib/smoke_test.py", "http://127.0.0.1", MAIL)
    assert "order.confirmed.eml" in host.run(*smoke_test, stdin=f"{token}\n").stdout


def test_a_signing_key_that_is_known_to_others_signs_nothing_any_more(host):
    token = host.output("scripts/token")
    assert status_of_account(host, token) == 200
    host.run("rm", "/etc/microservices/secrets/microservice1.pem")

    host.run("scripts/install")

    assert status_of_account(host, token) == 401
    assert status_of_account(host, host.output("scripts/token")) == 200


def test_a_database_password_that_is_known_to_others_is_replaced(host):
    file = "/etc/microservices/secrets/microservice3.database"
    before = host.output("cat", file)
    host.run("rm", file)

    host.run("scripts/install")

    assert host.output("cat", file) != before
    assert host.run("scripts/status").returncode == 0
    assert host.run("scripts/install", "--check").returncode == 0


def test_a_service_that_is_stopped_stays_so_and_has_its_new_key_afterwards(host):
    host.run("scripts/stop", "microservice4")

    host.run("scripts/keys", "rotate", "microservice4")

    state = host.run("systemctl", "is-active", "microservice@microservice4", check=False).stdout
    assert state.strip() == "inactive"
    host.run("scripts/start", "microservice4")
    assert host.run("scripts/status").returncode == 0


def test_trace_follows_an_order_through_journal_and_access_log(host):
    trade(host)
    mail = host.output("sh", "-c", f"ls -t {MAIL}/*order.confirmed.eml | head -1")
    request_id = re.search(r"X-Request-ID: (\S+)", host.output("cat", mail))[1]

    told = re.sub(" +", " ", host.output("scripts/trace", request_id))

    for step in (
        "nginx POST /api/service3/orders: 201",
        "microservice3 POST /orders: 201",
        "nginx, internal PUT /api/service2/internal/reservations",
        "microservice3 worker delivered",
        "microservice4 POST /internal/events: 204",
    ):
        assert step in told
    assert host.run("scripts/trace", "no-such-request", check=False).returncode == 1


@pytest.fixture
def https(host, address):
    host.run("scripts/tls", "own", "shop.example", address)
    yield
    host.run("scripts/tls", "off")


def test_https_of_the_hosts_own_ca(host, address, https):
    encrypted = call(host, "https", address)
    assert encrypted["status"] == 200
    assert "strict-transport-security" not in encrypted

    redirected = call(host, "http", address, "/api/service1/tokens")
    assert redirected["status"] == 308
    assert redirected["location"] == f"https://{address}/api/service1/tokens"

    assert host.output("python3", "-c", ASK_PLAINLY_OFTEN, address) == "308 429"
    assert call(host, "http", "127.0.0.1")["status"] == 200
    assert call(host, "http", "127.0.0.1:8081", "/api/service2/health/ready")["status"] == 200
    assert "DNS:shop.example" in host.output("scripts/tls", "show")
    assert "nothing was changed" in host.output("scripts/install")


def test_a_certificate_is_still_nginxs_after_settings_were_restored(host, address, https):
    host.run("scripts/backup")
    name = host.output("sh", "-c", "ls /var/backups/quartet/sets | tail -n 1")

    host.run("scripts/restore", "--yes", "--settings", name)

    host.run("systemctl", "restart", "nginx")
    assert call(host, "https", address)["status"] == 200


def test_a_second_call_changes_nothing(host, address, https):
    before = host.output("sha256sum", "/etc/microservices/tls/server.pem", CA)

    host.run("scripts/tls", "own", "shop.example", address)

    assert host.output("sha256sum", "/etc/microservices/tls/server.pem", CA) == before


CONSTRAINED = """
cd "$(mktemp -d)"
ca=/etc/microservices/tls/ca.pem
ca_key=/etc/microservices/secrets/ca.key
openssl req -new -newkey rsa:2048 -nodes -subj /O=Other -keyout key -out request
echo "subjectAltName=$0" >names
openssl x509 -req -in request -CA $ca -CAkey $ca_key -days 1 -extfile names -out certificate
openssl verify -CAfile $ca certificate
"""


def is_trusted(host, name):
    """Whether a client that trusts the host's CA believes a certificate of that CA for the name."""
    return host.run("sh", "-c", CONSTRAINED, name, check=False).returncode == 0


def test_the_ca_can_pose_as_nobody_else(host, address, https):
    assert is_trusted(host, "DNS:shop.example")
    assert is_trusted(host, f"IP:{address}")
    for name in ("DNS:bank.example", "DNS:example", "IP:192.0.2.1", "IP:2001:db8::1"):
        assert not is_trusted(host, name)


def test_other_names_get_another_ca_and_clients_must_be_told(host, https):
    told = host.output("scripts/tls", "own", "192.0.2.1")

    assert "THE CA IS NEW" in told
    assert is_trusted(host, "IP:192.0.2.1")
    assert not is_trusted(host, "DNS:shop.example")
    assert "THE CA IS NEW" not in host.output("scripts/tls", "own", "192.0.2.1")


def test_a_certificate_is_renewed_in_its_sandbox_before_its_end(host, address, https):
    unit = "microservices-tls.service"
    assert host.output("systemctl", "is-enabled", "microservices-tls.timer") == "enabled"
    serial = ("openssl", "x509", "-in", "/etc/microservices/tls/server.pem", "-noout", "-serial")
    before = host.output(*serial)
    host.run("systemctl", "start", unit)
    assert host.output(*serial) == before

    host.run("touch", "/etc/microservices/tls/names")
    host.run("systemctl", "start", unit)

    assert host.output(*serial) != before
    time.sleep(1)  # Nginx's new processes
    assert call(host, "https", address)["status"] == 200
    scored = host.output("systemd-analyze", "security", "--no-pager", unit)
    assert float(re.search(r"exposure level for \S+: ([\d.]+)", scored)[1]) <= 1.5
    verified = host.output("systemd-analyze", "verify", "--man=no", unit, "microservices-tls.timer")
    assert verified == ""


def test_status_tells_of_a_certificate_that_is_not_renewed(host, https):
    assert "certificate" not in host.output("scripts/status")
    file = "/etc/microservices/tls/server.pem"
    short = "openssl req -x509 -newkey rsa:2048 -nodes -days 3 -subj /CN=shop.example"
    host.run("sh", "-c", f"{short} -keyout /root/key.pem -out /root/crt.pem")
    host.run("sh", "-c", f"cat /root/crt.pem /root/key.pem >{file}; systemctl reload nginx")
    wait_for(lambda: "certificate that Nginx serves ends" in host.output("scripts/status"), 20)

    host.run("systemctl", "start", "microservices-tls")

    wait_for(lambda: "certificate" not in host.output("scripts/status"), 20)


def test_nobody_but_root_and_nginx_reads_the_key(host, https):
    listed = host.output("stat", "-c", "%U %G %a", "/etc/microservices/tls/server.pem")
    assert listed == "root www-data 640"
    assert host.output("stat", "-c", "%U %a", "/etc/microservices/secrets/ca.key") == "root 600"


def test_without_https_all_is_as_before(host, address, https):
    host.run("scripts/tls", "off")
    time.sleep(1)

    assert call(host, "http", address)["status"] == 200
    assert host.run("scripts/install", "--check").returncode == 0


@pytest.mark.parametrize(
    "words",
    [(), ("own",), ("own", "no/name"), ("certbot", "shop.example"), ("off", "now")],
    ids=" ".join,
)
def test_what_makes_no_sense_is_refused(host, words):
    assert host.run("scripts/tls", *words, check=False).returncode == 2
