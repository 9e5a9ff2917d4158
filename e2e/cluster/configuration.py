"""Configuration files of the node's parts."""

import json
from pathlib import Path
from typing import Any

import places
import yaml

PAUSE_IMAGE = "docker.io/touchstone/pause:1"


def ensure(node_address: str) -> None:
    """Write all files."""
    places.CONFIGURATION.mkdir(parents=True, exist_ok=True)
    for user in ("kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"):
        _write(places.CONFIGURATION / f"{user}.kubeconfig", _kubeconfig(user, node_address))
    _write(places.KUBECONFIG, _kubeconfig("admin", node_address))
    _write(places.CONFIGURATION / "audit.yaml", _AUDIT)
    _write(places.CONFIGURATION / "kubelet.yaml", _kubelet())
    _write(places.CONFIGURATION / "kube-proxy.yaml", _kube_proxy())
    (places.CONFIGURATION / "containerd.toml").write_text(_containerd())
    network = places.CONFIGURATION / "network"
    network.mkdir(exist_ok=True)
    (network / "10-bridge.conflist").write_text(json.dumps(_NETWORK, indent=1))


def _write(path: Path, document: dict[str, Any]) -> None:
    """Write a file unless it says so already: kube-proxy ends when its file is written, and with it new connections."""
    text = yaml.safe_dump(document, sort_keys=False)
    if not path.exists() or path.read_text() != text:
        path.touch(mode=0o600)
        path.write_text(text)


def _kubeconfig(user: str, node_address: str) -> dict[str, Any]:
    pki = places.PKI
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": places.NODE,
                "cluster": {
                    "server": f"https://{node_address}:{places.API_PORT}",
                    "certificate-authority": str(pki / "ca.crt"),
                },
            }
        ],
        "users": [
            {
                "name": user,
                "user": {"client-certificate": str(pki / f"{user}.crt"), "client-key": str(pki / f"{user}.key")},
            }
        ],
        "contexts": [{"name": places.NODE, "context": {"cluster": places.NODE, "user": user}}],
        "current-context": places.NODE,
    }


_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    # The parts of Kubernetes itself are not what is watched here.
    "rules": [
        {"level": "None", "userGroups": ["system:nodes"]},
        {
            "level": "None",
            "users": [
                "system:apiserver",
                "system:kube-controller-manager",
                "system:kube-scheduler",
                "system:kube-proxy",
            ],
        },
        {"level": "Metadata"},
    ],
}


def _kubelet() -> dict[str, Any]:
    pki = places.PKI
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{places.CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        # Needs a file system of its own to measure; ours is shared with everything else.
        "localStorageCapacityIsolation": False,
        "clusterDNS": [places.DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": "/etc/resolv.conf",
        "podLogsDir": str(places.LOGS / "pods"),
        "serializeImagePulls": False,
        "enforceNodeAllocatable": [],
        # A full disk of the machine is not this cluster's to clean up.
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "readOnlyPort": 0,
        "syncFrequency": "10s",
    }


def _kube_proxy() -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": places.NODE,
        "clusterCIDR": places.POD_RANGE,
        "clientConnection": {"kubeconfig": str(places.CONFIGURATION / "kube-proxy.kubeconfig")},
        "metricsBindAddress": "127.0.0.1:10249",
        "healthzBindAddress": "127.0.0.1:10256",
        "conntrack": {"maxPerCore": 0, "min": 0},
    }


_NETWORK = {
    "cniVersion": "1.0.0",
    "name": "touchstone-e2e",
    "plugins": [
        {
            "type": "bridge",
            "bridge": places.BRIDGE,
            "isGateway": True,
            "hairpinMode": True,
            # What leaves the cluster is masked by our own table, which `down` knows how to remove.
            "ipMasq": False,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": places.NODE_POD_RANGE}]],
                "routes": [{"dst": "0.0.0.0/0"}],
                "dataDir": str(places.STATE / "addresses"),
            },
        },
    ],
}


def _containerd() -> str:
    return f"""\
version = 2
root = "{places.STATE}/containerd"
state = "{places.RUN}/containerd"

[grpc]
address = "{places.CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
# A machine whose root may not lower the score of a process could not start pods otherwise.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{places.CONFIGURATION}/network"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""
