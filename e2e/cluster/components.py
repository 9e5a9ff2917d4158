"""The parts of the cluster: their command lines, their order, and when each is up."""

import ssl
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import network
import places
import processes
from telling import Trouble, step, until

import images

START_SECONDS = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A process of the cluster."""

    name: str
    command: Sequence[str]
    is_up: Callable[[], bool]


def all_of(bin_folder: Path, node_address: str) -> list[Component]:
    """List the components, in the order in which they start."""
    kubernetes = str(bin_folder / "kubernetes")

    def part(name: str, options: dict[str, object], is_up: Callable[[], bool]) -> Component:
        flags = [f"--{flag}={value}" for flag, value in options.items()]
        return Component(name=name, command=[kubernetes, name, *flags], is_up=is_up)

    return [
        part("etcd", _etcd(), lambda: _answers("https://127.0.0.1:2379/health", "etcd-ca", "apiserver-etcd")),
        part(
            "kube-apiserver",
            _apiserver(node_address),
            lambda: _answers(f"https://{node_address}:{places.API_PORT}/readyz", "ca", "admin"),
        ),
        part(
            "kube-controller-manager",
            _controllers(),
            lambda: _answers("https://127.0.0.1:10257/healthz", "ca", "admin"),
        ),
        part("kube-scheduler", _scheduler(), lambda: _answers("https://127.0.0.1:10259/healthz", "ca", "admin")),
        Component(
            name="containerd",
            command=["containerd", "--config", str(places.CONFIGURATION / "containerd.toml")],
            is_up=lambda: images.ctr("version").returncode == 0,
        ),
        part("kubelet", _kubelet(node_address), lambda: _answers("http://127.0.0.1:10248/healthz")),
        part("kube-proxy", {"config": _file("kube-proxy.yaml")}, lambda: _answers("http://127.0.0.1:10256/livez")),
        Component(
            name="network-policies",
            command=[
                str(bin_folder / "network-policies"),
                f"--kubeconfig={places.KUBECONFIG}",
                f"--node={places.NODE}",
                f"--service-range={places.SERVICE_RANGE}",
            ],
            is_up=network.has_policy_chains,
        ),
    ]


def kuberay(program: Path) -> Component:
    """KubeRay's operator, as a process beside the cluster: it reaches Ray through the API server."""
    return Component(
        name="kuberay",
        command=[
            str(program), f"--kubeconfig={places.KUBECONFIG}", "--use-kubernetes-proxy", "--enable-leader-election=false",
            "--metrics-addr=127.0.0.1:18080", "--health-probe-bind-address=127.0.0.1:18082",
        ],
        is_up=lambda: _answers("http://127.0.0.1:18082/readyz"),
    )  # fmt: skip


def start(components: Sequence[Component]) -> None:
    """Start what does not run and wait until each is up.

    Raises:
        Trouble: One did not come up; the message ends with its last words.
    """
    places.RUN.mkdir(parents=True, exist_ok=True)
    for component in components:
        if processes.is_running(component.name) and component.is_up():
            continue
        with step(f"Starting {component.name}"):
            try:
                until(lambda: _is_started(component), what=f"the start of {component.name}", seconds=START_SECONDS)  # noqa: B023 - called in this round only
            except Trouble as trouble:
                raise Trouble(f"{trouble}. It said:\n{processes.last_words(component.name)}") from trouble


def _is_started(component: Component) -> bool:
    """Start what does not run, or has ended meanwhile, and tell whether it is up."""
    processes.start(component.name, component.command)
    return component.is_up()


def kubectl(bin_folder: Path, *arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Run kubectl as the cluster's administrator."""
    command = [str(bin_folder / "kubectl"), "--kubeconfig", str(places.KUBECONFIG), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


def _answers(url: str, authority: str = "", user: str = "") -> bool:
    verify: ssl.SSLContext | bool = True
    if authority:
        verify = ssl.create_default_context(cafile=str(places.PKI / f"{authority}.crt"))
        verify.load_cert_chain(_pki(f"{user}.crt"), _pki(f"{user}.key"))
    try:
        return httpx.get(url, verify=verify, timeout=3, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _pki(file: str) -> str:
    return str(places.PKI / file)


def _file(file: str) -> str:
    return str(places.CONFIGURATION / file)


def _etcd() -> dict[str, object]:
    return {
        "name": places.NODE,
        "data-dir": places.STATE / "etcd",
        "listen-client-urls": "https://127.0.0.1:2379",
        "advertise-client-urls": "https://127.0.0.1:2379",
        "listen-peer-urls": "http://127.0.0.1:2380",
        "cert-file": _pki("etcd.crt"),
        "key-file": _pki("etcd.key"),
        "trusted-ca-file": _pki("etcd-ca.crt"),
        "client-cert-auth": "true",
        # The cluster is made for a test: what a power cut would take is made again.
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }


def _apiserver(node_address: str) -> dict[str, object]:
    issuer = "https://kubernetes.default.svc.cluster.local"
    return {
        "advertise-address": node_address,
        # Not on all addresses: the embedded platform has API servers of its own on loopback.
        "bind-address": node_address,
        "secure-port": places.API_PORT,
        "allow-privileged": "true",
        "anonymous-auth": "false",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "client-ca-file": _pki("ca.crt"),
        "tls-cert-file": _pki("apiserver.crt"),
        "tls-private-key-file": _pki("apiserver.key"),
        "etcd-servers": "https://127.0.0.1:2379",
        "etcd-cafile": _pki("etcd-ca.crt"),
        "etcd-certfile": _pki("apiserver-etcd.crt"),
        "etcd-keyfile": _pki("apiserver-etcd.key"),
        "kubelet-certificate-authority": _pki("ca.crt"),
        "kubelet-client-certificate": _pki("apiserver-kubelet.crt"),
        "kubelet-client-key": _pki("apiserver-kubelet.key"),
        "kubelet-preferred-address-types": "InternalIP",
        "requestheader-client-ca-file": _pki("front-proxy-ca.crt"),
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": _pki("front-proxy.crt"),
        "proxy-client-key-file": _pki("front-proxy.key"),
        "service-account-issuer": issuer,
        "service-account-key-file": _pki("service-accounts.pub"),
        "service-account-signing-key-file": _pki("service-accounts.key"),
        "service-cluster-ip-range": places.SERVICE_RANGE,
        "audit-policy-file": _file("audit.yaml"),
        "audit-log-path": places.LOGS / "audit.jsonl",
        "profiling": "false",
    }


def _controllers() -> dict[str, object]:
    kubeconfig = _file("kube-controller-manager.kubeconfig")
    return {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "tls-cert-file": _pki("kube-controller-manager.crt"),
        "tls-private-key-file": _pki("kube-controller-manager.key"),
        "root-ca-file": _pki("ca.crt"),
        "service-account-private-key-file": _pki("service-accounts.key"),
        "use-service-account-credentials": "true",
        "allocate-node-cidrs": "true",
        "cluster-cidr": places.POD_RANGE,
        "service-cluster-ip-range": places.SERVICE_RANGE,
        "leader-elect": "false",
    }


def _scheduler() -> dict[str, object]:
    kubeconfig = _file("kube-scheduler.kubeconfig")
    return {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "tls-cert-file": _pki("kube-scheduler.crt"),
        "tls-private-key-file": _pki("kube-scheduler.key"),
        "leader-elect": "false",
    }


def _kubelet(node_address: str) -> dict[str, object]:
    return {
        "config": _file("kubelet.yaml"),
        "kubeconfig": _file("kubelet.kubeconfig"),
        "root-dir": places.STATE / "kubelet",
        "hostname-override": places.NODE,
        "node-ip": node_address,
    }
