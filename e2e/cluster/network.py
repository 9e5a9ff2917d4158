"""What the cluster changes of the machine's own network, and how it is put back."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import places
from telling import Trouble

WANTED: Mapping[str, str] = {
    "/proc/sys/net/ipv4/ip_forward": "1",
    # Answers of a pod on the same bridge must pass the translation that its question passed.
    "/proc/sys/net/bridge/bridge-nf-call-iptables": "1",
}
KUBE_PROXY_TABLE = ("ip", "kube-proxy")
KUBELET_CHAINS = ("KUBE-FIREWALL", "KUBE-KUBELET-CANARY")
"""What the kubelet puts into the tables of iptables and leaves there."""


def prepare() -> None:
    """Let pods reach each other and the world.

    Raises:
        Trouble: This kernel cannot.
    """
    missing = [path for path in WANTED if not Path(path).exists()]
    if missing:
        raise Trouble(f"this kernel has no {', '.join(missing)}; load br_netfilter and try again")
    if not places.SETTINGS_BEFORE.exists():
        before = {path: Path(path).read_text().strip() for path in WANTED}
        places.SETTINGS_BEFORE.parent.mkdir(parents=True, exist_ok=True)
        places.SETTINGS_BEFORE.write_text(json.dumps(before))
    for path, value in WANTED.items():
        Path(path).write_text(value)
    rules = f"""
        table ip {places.NFT_TABLE}
        delete table ip {places.NFT_TABLE}
        table ip {places.NFT_TABLE} {{
            chain leaving {{
                type nat hook postrouting priority srcnat
                ip saddr {places.POD_RANGE} ip daddr != {places.POD_RANGE} oifname != "{places.BRIDGE}" masquerade
            }}
        }}
    """
    ended = subprocess.run(["nft", "-f", "-"], input=rules, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise Trouble(f"nftables refused the masquerading: {ended.stderr.strip()}")


def has_policy_chains() -> bool:
    """Tell whether NetworkPolicies are enforced."""
    listed = subprocess.run(["iptables", "-n", "-L", "KUBE-ROUTER-FORWARD"], capture_output=True, check=False)
    return not listed.returncode


def put_back() -> None:
    """Remove tables, the bridge and its ends, and put settings back."""
    for command, table, chain in _kubelet_chains():
        for hook in ("INPUT", "OUTPUT"):
            subprocess.run([command, "-t", table, "-D", hook, "-j", chain], capture_output=True, check=False)
        for step in ("-F", "-X"):
            subprocess.run([command, "-t", table, step, chain], capture_output=True, check=False)
    for family, table in (("ip", places.NFT_TABLE), KUBE_PROXY_TABLE, ("ip6", KUBE_PROXY_TABLE[1])):
        subprocess.run(["nft", "delete", "table", family, table], capture_output=True, check=False)
    for link in links():
        subprocess.run(["ip", "link", "delete", link], capture_output=True, check=False)
    if places.SETTINGS_BEFORE.exists():
        for path, value in json.loads(places.SETTINGS_BEFORE.read_text()).items():
            Path(path).write_text(value)


def links() -> list[str]:
    """List the bridge and what hangs on it."""
    ended = subprocess.run(["ip", "-json", "link", "show"], capture_output=True, text=True, check=True)
    found = json.loads(ended.stdout)
    return [link["ifname"] for link in found if places.BRIDGE in (link["ifname"], link.get("master"))]


def tables() -> list[str]:
    """List the cluster's nftables tables, and its chains in the tables of iptables."""
    ended = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False)
    ours = (places.NFT_TABLE, KUBE_PROXY_TABLE[1])
    chains = [" ".join(found) for found in _kubelet_chains()] + (["KUBE-ROUTER-FORWARD"] if has_policy_chains() else [])
    return [line for line in ended.stdout.splitlines() if line.split()[-1] in ours] + chains


def _kubelet_chains() -> list[tuple[str, str, str]]:
    """List the kubelet's chains: the command that reaches each, its table, its name."""
    return [
        (command, table, chain)
        for command in ("iptables", "ip6tables")
        for table in ("filter", "mangle", "nat")
        for chain in KUBELET_CHAINS
        if not subprocess.run([command, "-t", table, "-n", "-L", chain], capture_output=True, check=False).returncode
    ]
