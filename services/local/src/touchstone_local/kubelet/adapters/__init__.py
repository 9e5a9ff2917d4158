"""The outside of the kubelet: the cluster, processes, probes, files."""
