"""What the kubelet does: keeps each Pod as its specification says, and each workload as many Pods as it asks for."""

from touchstone_local.kubelet.service.kubelet import Kubelet

__all__ = ["Kubelet"]
