"""A small Kubernetes client over `kubernetes.aio`: objects as mappings, errors as sentences.

The official client brings the transport and the credentials; what is added here is what a command line and a workload
runner need: discovery by short name, server-side apply, tables, waiting, and a cache that follows a watch.
"""
