"""Pods from the template of their owner. Pure."""

import hashlib
import json

from touchstone_local import fields
from touchstone_local.fields import Object

NODE_NAME = "local"
HASH_LABEL = "pod-template-hash"
DEFAULT_GRACE_SECONDS = 30


def template_hash(template: Object) -> str:
    """Return ten hexadecimal digits that change when the template does."""
    canonical = json.dumps(template, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]


def pod(owner: Object, *, suffix: str, labels: dict[str, str]) -> Object:
    """Return the Pod that an owner's template describes, with the owner as its controller.

    Args:
        owner: A Deployment or a Job.
        suffix: What tells the Pod from its siblings.
        labels: Labels beside those of the template.
    """
    template = fields.mapping(owner, "spec", "template")
    metadata: dict[str, object] = {
        "name": f"{fields.name(owner)}-{suffix}",
        "namespace": fields.namespace(owner),
        "labels": {**fields.texts(template, "metadata", "labels"), **labels},
        "ownerReferences": [
            {
                "apiVersion": fields.text(owner, "apiVersion"),
                "kind": fields.text(owner, "kind"),
                "name": fields.name(owner),
                "uid": fields.uid(owner),
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    annotations = fields.texts(template, "metadata", "annotations")
    if annotations:
        metadata["annotations"] = annotations
    spec = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": DEFAULT_GRACE_SECONDS,
        **fields.mapping(template, "spec"),
        "nodeName": NODE_NAME,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def is_active(pod: Object) -> bool:
    """Whether a Pod runs or will run: it has not ended and was not asked to go."""
    return not fields.is_terminating(pod) and fields.text(pod, "status", "phase") not in ("Succeeded", "Failed")


def is_ready(pod: Object) -> bool:
    """Whether a Pod's condition Ready is True."""
    return fields.text(fields.condition(pod, "Ready"), "status") == "True"
