"""E-mail addresses: which ones can be written to, and which two spellings are one mailbox.

Whatever `sendable` returns, the mail server can be given (RFC 5321, 6531); whatever it refuses is
refused when it is entered. A domain has an ASCII form, in which it is sent and compared. A local
part has none, so it is sent as it was given, and compared in lower case.

The domain is encoded by `idna` (IDNA 2008). The grammar of local parts is short on purpose: quotes,
comments and literal addresses, which RFC 5322 also allows, are refused as typing errors.
"""

import re
import unicodedata

import idna

from chassis.text import in_nfc, normalised

MOST_OCTETS = 254  # in the form that is sent: https://www.rfc-editor.org/errata/eid1690
MOST_LOCAL_OCTETS = 64  # RFC 5321, 4.5.3.1.1
_MOST_DOMAIN_OCTETS = 253

_WORD = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+"
_LOCAL_PART = re.compile(rf"{_WORD}(\.{_WORD})*")
_ASCII_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def sendable(address):
    """Return the address as a mail server takes it: local part as given, domain in ASCII.

    `info@Bücher.example` is `info@xn--bcher-kva.example`. Raises ValueError for an address that
    cannot be written to; the message is a clause that follows the name of the field.
    """
    address = normalised(address)
    local, at, domain = address.rpartition("@")
    if not at:
        raise ValueError("must contain @")
    _check_local_part(local)
    sent = f"{local}@{_in_ascii(domain)}"
    if len(sent.encode()) > MOST_OCTETS:
        raise ValueError(f"must not be longer than {MOST_OCTETS} octets")
    return sent


def as_entered(address):
    """Return an address as it is kept: as it was given, in NFC.

    Raises ValueError as `sendable`; and for a domain of one label, which is a slip of the pen
    (`ada@gmail`) outside of a mail server's own network.
    """
    domain = sendable(address).rpartition("@")[2]
    if "." not in domain and domain != "localhost":
        raise ValueError(f"must have a dot behind the @, as in {domain}.com")
    return normalised(address)


def canonical(address):
    """Return what all spellings of a mailbox have in common, to be compared and searched by.

    Domain in ASCII, all of it in lower case. Raises ValueError as `sendable`.
    """
    local, _, domain = sendable(address).rpartition("@")
    return f"{_in_lower_case(local)}@{domain}"


def identity(address):
    """Return `canonical`, or of text that is no address the text in lower case.

    For comparisons with addresses that were stored before the present rules.
    """
    try:
        return canonical(address)
    except ValueError:
        return _in_lower_case(address)


def spellings(address):
    """Return the two ways in which an identity is written in lower case: domain in ASCII, and not.

    For a search in rows that keep addresses as they were given.
    """
    ascii_form = identity(address)
    local, at, domain = ascii_form.rpartition("@")
    shown = ".".join(map(_label_in_unicode, domain.split(".")))
    return [ascii_form, f"{local}{at}{shown}"]


def _check_local_part(local):
    if not _LOCAL_PART.fullmatch(local):
        raise ValueError("must have letters, digits, and single dots between them, before the @")
    if len(local.encode()) > MOST_LOCAL_OCTETS:
        raise ValueError(f"must not have more than {MOST_LOCAL_OCTETS} octets before the @")
    if "=?" in local:  # RFC 2047: readers of e-mail would decode it into another address
        raise ValueError("must not contain =?")
    if any(unicodedata.category(character)[0] == "Z" for character in local):
        raise ValueError("must not contain white space")
    if any(unicodedata.category(word[0])[0] == "M" for word in local.split(".")):
        raise ValueError("must not begin with a mark that belongs to a letter before it")


def _in_ascii(domain):
    labels = [_label_in_ascii(label) for label in _in_lower_case(domain).split(".")]
    encoded = ".".join(labels)
    if len(encoded) > _MOST_DOMAIN_OCTETS:
        raise ValueError(f"must not have more than {_MOST_DOMAIN_OCTETS} octets behind the @")
    if labels[-1].isdigit():
        raise ValueError("must have the name of a domain behind the @")
    return encoded


def _label_in_ascii(label):
    """An ASCII label is a name in DNS as it stands; IDNA decides about all others."""
    if label.isascii():
        if not _ASCII_LABEL.fullmatch(label):
            raise ValueError("must have the name of a domain behind the @")
        return label
    try:
        return idna.alabel(label).decode()
    except idna.IDNAError as error:
        raise ValueError(f"must have the name of a domain behind the @: {error}") from None


def _label_in_unicode(label):
    try:
        return idna.ulabel(label)
    except idna.IDNAError:  # an ASCII name that IDNA does not know has no other form
        return label


def _in_lower_case(text):
    return in_nfc(text.lower())
