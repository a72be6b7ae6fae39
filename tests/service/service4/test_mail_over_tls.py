"""Mail servers that encrypt, and want a password: it goes to nobody who cannot prove who it is."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.service.service4.mailing import use


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for localhost that nobody knows. Returns its file; the key is in it too."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture
def server_tls(certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    return tls


@pytest.fixture
def known(certificate, monkeypatch):
    """The certificate is one that this machine believes."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


def takes_the_password(server, session, envelope, mechanism, data):
    right = (data.login, data.password) == (b"shop", b"p@ss:w/rd")
    return AuthResult(success=right, handled=right)


SAFE = {"authenticator": takes_the_password, "auth_required": True}


def test_a_server_that_offers_encryption_is_spoken_to_encrypted(
    user_event, notifications, work, start_mail_server, server_tls
):
    postbox = start_mail_server(tls_context=server_tls)
    user_event("user.registered")

    work()

    assert [entry["status"] for entry in notifications()] == ["sent"]
    assert postbox.envelopes[0].session.ssl is not None


def test_the_password_is_given_to_a_server_that_proves_who_it_is(
    user_event,
    notifications,
    work,
    service,
    start_mail_server,
    server_tls,
    known,
    mail_port,
):
    postbox = start_mail_server(tls_context=server_tls, **SAFE)
    use(service, smtp_url=f"smtp://shop:p%40ss%3Aw%2Frd@localhost:{mail_port}")
    user_event("user.registered")

    work()

    assert [entry["last_error"] for entry in notifications()] == [None]
    assert postbox.envelopes[0].session.authenticated


def test_smtps_is_encrypted_from_the_first_byte(
    user_event,
    notifications,
    work,
    service,
    start_mail_server,
    server_tls,
    known,
    mail_port,
):
    start_mail_server(ssl_context=server_tls)
    use(service, smtp_url=f"smtps://localhost:{mail_port}")
    user_event("user.registered")

    work()

    assert [entry["status"] for entry in notifications()] == ["sent"]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_the_password_is_not_given_to_a_server_that_cannot_prove_who_it_is(
    scheme, user_event, notifications, work, service, start_mail_server, server_tls, mail_port
):
    tls = "tls_context" if scheme == "smtp" else "ssl_context"
    start_mail_server(**{tls: server_tls}, **SAFE)
    use(service, smtp_url=f"{scheme}://shop:secret@localhost:{mail_port}")
    user_event("user.registered")

    work()

    (found,) = notifications()
    assert found["status"] == "queued"
    assert found["last_error"] == "localhost: SSLCertVerificationError"


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_the_password_is_not_sent_in_the_clear(
    user_event, notifications, work, service, start_mail_server, mail_port
):
    start_mail_server(auth_require_tls=False, **SAFE)
    use(service, smtp_url=f"smtp://shop:p%40ss%3Aw%2Frd@127.0.0.1:{mail_port}")
    user_event("user.registered")

    work()

    (found,) = notifications()
    assert found["status"] == "queued"
    assert found["last_error"] == "127.0.0.1: no STARTTLS, so no password is sent"


def test_a_wrong_password_is_tried_again_and_shown_to_nobody(
    user_event,
    notifications,
    work,
    service,
    start_mail_server,
    server_tls,
    known,
    mail_port,
    caplog,
):
    start_mail_server(tls_context=server_tls, **SAFE)
    use(service, smtp_url=f"smtp://shop:wr0ng-secret@localhost:{mail_port}")
    user_event("user.registered")

    work()

    (found,) = notifications()
    assert found["status"] == "queued"
    assert found["last_error"] == "localhost: SMTPAuthenticationError 535"
    assert "wr0ng-secret" not in str([record.__dict__ for record in caplog.records])
