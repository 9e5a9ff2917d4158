"""Keys and certificates of a real cluster: three authorities, and an identity for each part."""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import places
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = timedelta(days=30)
SKEW = timedelta(minutes=5)
API_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
    "127.0.0.1",
    places.API_SERVICE,
)


class Authority:
    """Signs certificates."""

    def __init__(self, name: str) -> None:
        """Make an authority; its certificate is written, its key is not."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(self._subject, self._subject, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        _write(places.PKI / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, file: str, user: str, groups: Sequence[str] = (), hosts: Sequence[str] = ()) -> None:
        """Write an identity.

        Args:
            file: Stem of the files: `FILE.crt` and `FILE.key`.
            user: The common name; Kubernetes takes it as the user.
            groups: The organisations; Kubernetes takes them as groups.
            hosts: Names and addresses of a server.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, user)])
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
        builder = (
            _builder(subject, self._subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_name(host) for host in hosts]), critical=False
            )
        certificate = builder.sign(self._key, hashes.SHA256())
        _write(places.PKI / f"{file}.crt", certificate.public_bytes(serialization.Encoding.PEM))
        _write(places.PKI / f"{file}.key", _private(key))


def ensure(node_address: str) -> None:
    """Write all identities, if they are not there."""
    if (places.PKI / "complete").exists():
        return
    places.PKI.mkdir(parents=True, exist_ok=True, mode=0o700)
    cluster, etcd, front = Authority("ca"), Authority("etcd-ca"), Authority("front-proxy-ca")
    etcd.issue("etcd", "etcd", hosts=("localhost", "127.0.0.1"))
    etcd.issue("apiserver-etcd", "kube-apiserver")
    front.issue("front-proxy", "front-proxy-client")
    cluster.issue("apiserver", "kube-apiserver", hosts=(*API_NAMES, node_address))
    cluster.issue("apiserver-kubelet", "kube-apiserver-kubelet-client", ("system:masters",))
    cluster.issue("admin", "admin", ("system:masters",))
    cluster.issue("kube-controller-manager", "system:kube-controller-manager", hosts=("localhost", "127.0.0.1"))
    cluster.issue("kube-scheduler", "system:kube-scheduler", hosts=("localhost", "127.0.0.1"))
    cluster.issue("kube-proxy", "system:kube-proxy")
    cluster.issue("kubelet", f"system:node:{places.NODE}", ("system:nodes",), hosts=(places.NODE, node_address))
    tokens = ec.generate_private_key(ec.SECP256R1())
    _write(places.PKI / "service-accounts.key", _private(tokens))
    public = tokens.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write(places.PKI / "service-accounts.pub", public)
    (places.PKI / "complete").touch()


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LIFE)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=not signs, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
