"""A Kubernetes API server in one Python process over SQLite, for one machine.

It knows storage, validation and the protocol; what objects mean is left to the kubelet and the operator beside it.
"""
