"""The workload runner: Deployments and Jobs become Pods, Pods become processes of this machine.

It stands in for the deployment controller, the job controller, the scheduler and the kubelet. There are no ReplicaSets:
a Pod is owned by its Deployment directly, and the label `pod-template-hash` tells its revision.
"""
