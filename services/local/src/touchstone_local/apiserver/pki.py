"""Keys and certificates: an authority of our own, and a server certificate for the address that is listened on."""

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from touchstone_local import files

AUTHORITY_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
"""A certificate that ends sooner is made anew at the next start."""
_CLOCK_SKEW = timedelta(minutes=5)


class Pki(NamedTuple):
    """Files of a server's identity."""

    authority: Path
    """The certificate that clients trust."""
    certificate: Path
    key: Path


def ensure(folder: Path, host: str, now: datetime) -> Pki:
    """Return valid certificates for a host, made now if there are none or they no longer serve.

    Args:
        folder: Where they lie; created if missing.
        host: An IP address or a name; localhost is always included.
        now: The time.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    pki = Pki(folder / "ca.crt", folder / "server.crt", folder / "server.key")
    authority_key = folder / "ca.key"
    if not _is_valid(pki.authority, now) or not authority_key.exists():
        _write_authority(pki.authority, authority_key, now)
        pki.certificate.unlink(missing_ok=True)
    names = sorted({host, "localhost", "127.0.0.1"})
    if not _is_valid(pki.certificate, now) or not pki.key.exists() or not _covers(pki, names):
        _write_server(pki, authority_key, names, now)
    for key in (authority_key, pki.key):
        key.chmod(0o600)
    return pki


def _is_valid(path: Path, now: datetime) -> bool:
    certificate = _read_certificate(path)
    return certificate is not None and certificate.not_valid_after_utc - RENEW_BEFORE > now


def _read_certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def _covers(pki: Pki, names: Sequence[str]) -> bool:
    certificate, authority = _read_certificate(pki.certificate), _read_certificate(pki.authority)
    if certificate is None or authority is None or certificate.issuer != authority.subject:
        return False
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {_general_name(name) for name in names} <= set(found)


def _write_authority(path: Path, key_path: Path, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    # The serial number in the name tells authorities of several platforms apart.
    serial = x509.random_serial_number()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"touchstone-ca-{serial % 10**8}")])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, name, key, now, AUTHORITY_LIFE, serial)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_key(key_path, key)
    _write(path, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _write_server(pki: Pki, authority_key: Path, names: Sequence[str], now: datetime) -> None:
    authority = x509.load_pem_x509_certificate(pki.authority.read_bytes())
    signer = serialization.load_pem_private_key(authority_key.read_bytes(), password=None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{authority_key} is not a key of this server. Remove the folder, and it is made anew.")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "touchstone-apiserver")])
    authority_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    certificate = (
        _builder(name, authority.subject, key, now, SERVER_LIFE, x509.random_serial_number())
        .add_extension(x509.SubjectAlternativeName([_general_name(entry) for entry in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(authority_id, critical=False)
        .sign(signer, hashes.SHA256())
    )
    _write_key(pki.key, key)
    _write(pki.certificate, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _builder(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta, serial: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(path, encoded, mode=0o600)


def _write(path: Path, content: bytes, *, mode: int) -> None:
    path.unlink(missing_ok=True)
    files.write_atomically(path, content.decode(), mode=mode)
