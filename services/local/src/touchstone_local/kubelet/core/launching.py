"""What is run for a container. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from touchstone_local import fields
from touchstone_local.fields import Object
from touchstone_local.kubelet.core import environment, expansion
from touchstone_local.kubelet.errors import CannotStart, NotYet

TEMPORARY = "/tmp"  # noqa: S108 (where a Pod mounts it; the process is given a folder of its own)
INHERITED_NAMES = frozenset(
    {
        "PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER", "LOGNAME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
        "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HF_ENDPOINT", "NETRC",
    }
)  # fmt: skip
"""Variables of the kubelet that containers see too: where programs, homes, proxies and certificates are."""
INHERITED_PREFIXES = ("LC_", "SSL_CERT_", "OMP_", "GOMP_", "MALLOC_", "PIP_", "UV_")
"""Prefixes of the same: threads and memory of the engines, and where packages come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command with its environment."""

    command: tuple[str, ...]
    environ: Mapping[str, str]
    folder: str
    """The working folder; empty: the Pod's own."""
    has_scratch: bool = False
    """Whether TMPDIR is a folder that lives as long as the Pod."""


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that containers inherit from the kubelet."""
    return {
        name: value for name, value in environ.items() if name in INHERITED_NAMES or name.startswith(INHERITED_PREFIXES)
    }


def prepare(
    container: Object, pod: Object, *, pod_ip: str, sources: environment.Sources, base: Mapping[str, str], python: str
) -> Launch:
    """Return what to run for a container.

    Args:
        container: The container of the Pod's specification.
        pod: The Pod.
        pod_ip: The Pod's address.
        sources: ConfigMaps and Secrets.
        base: Variables that every container gets.
        python: The interpreter that stands in for `python`.

    Raises:
        CannotStart: The container has no command, or mounts what processes of one machine cannot have.
        NotYet: A ConfigMap, a Secret or a key is missing.
    """
    has_scratch = _has_scratch(container, pod)
    command = [str(part) for part in fields.sequence(container, "command")]
    if not command:
        raise CannotStart("the embedded platform runs commands, not images; set the container's command")
    try:
        variables = environment.resolve(container, pod, pod_ip=pod_ip, sources=sources)
    except environment.Unresolved as error:
        raise NotYet(str(error)) from error
    arguments = [str(part) for part in fields.sequence(container, "args")]
    expanded = [expansion.expand(part, variables) for part in (*command, *arguments)]
    if expanded[0] in ("python", "python3"):
        expanded[0] = python
    return Launch(
        command=tuple(expanded),
        environ={**base, "HOSTNAME": fields.name(pod), **variables},
        folder=fields.text(container, "workingDir"),
        has_scratch=has_scratch,
    )


def _has_scratch(container: Object, pod: Object) -> bool:
    """Whether the container has a folder of its own for temporary files, which is the one volume that we can give.

    Raises:
        CannotStart: It mounts anything else: a process sees this machine's files where they are.
    """
    volumes = {fields.text(each, "name"): each for each in fields.items(pod, "spec", "volumes")}
    for mount in fields.items(container, "volumeMounts"):
        path = fields.text(mount, "mountPath")
        if path != TEMPORARY or "emptyDir" not in volumes.get(fields.text(mount, "name"), {}):
            raise CannotStart(
                f"the volume at {path} is not to be had: the embedded platform mounts nothing but an emptyDir at "
                f"{TEMPORARY}; pass what is needed by env"
            )
    return bool(fields.items(container, "volumeMounts"))
