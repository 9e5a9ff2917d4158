"""The workload runner: Deployments and Jobs become Pods, Pods become processes of this machine.

It stands in for the deployment controller, the job controller, the scheduler and the kubelet. There are no ReplicaSets:
a Pod is owned by its Deployment directly, and the label `pod-template-hash` tells its revision.

What it takes no notice of, because processes of one user on one machine cannot have it: images, resource limits,
security contexts, init containers, preStop hooks, nodes. Of volumes it gives an emptyDir at the place for temporary
files.
"""
