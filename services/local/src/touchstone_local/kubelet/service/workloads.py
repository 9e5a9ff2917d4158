"""Giving each Deployment and Job the Pods that it asks for."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from touchstone_local import fields
from touchstone_local.errors import DomainError, ObjectExists, ObjectNotFound
from touchstone_local.fields import Object
from touchstone_local.kubelet.core import deployments, jobs, templates
from touchstone_local.kubelet.ports import Workloads

_log = logging.getLogger(__name__)


class WorkloadController:
    """Takes each workload one step further whenever it is asked to."""

    def __init__(self, cluster: Workloads, *, now: Callable[[], datetime], new_suffix: Callable[[], str]) -> None:
        self._cluster = cluster
        self._now = now
        self._new_suffix = new_suffix

    async def reconcile(self) -> datetime | None:
        """Do what is due for every workload; return when something will be due though nothing changes."""
        by_owner: dict[str, list[Object]] = {}
        for pod in self._cluster.pods():
            by_owner.setdefault(fields.controller_uid(pod), []).append(pod)
        moments = []
        for workload, advance in (
            *((each, self._deployment) for each in self._cluster.deployments()),
            *((each, self._job) for each in self._cluster.jobs()),
        ):
            try:
                moments.append(await advance(workload, by_owner.get(fields.uid(workload), [])))
            except ObjectNotFound:
                _log.debug("%s is gone.", fields.key(workload))
            except DomainError as error:
                _log.warning("%s: %s", fields.key(workload), error.message)
            except Exception:  # noqa: BLE001 (one workload that surprises us must not stop the others)
                _log.exception("%s cannot be reconciled.", fields.key(workload))
        return min((moment for moment in moments if moment is not None), default=None)

    async def _deployment(self, deployment: Object, pods: Sequence[Object]) -> datetime | None:
        plan = deployments.plan(deployment, pods, now=self._now())
        await self._report(deployment, plan.status)
        await self._create(deployment, plan.create, {templates.HASH_LABEL: plan.template_hash})
        await self._delete(pods, plan.remove)
        return plan.again_at

    async def _job(self, job: Object, pods: Sequence[Object]) -> datetime | None:
        plan = jobs.plan(job, pods, now=self._now())
        if plan.remove_job:
            await self._cluster.delete_job(job)
            return None
        await self._report(job, plan.status)
        name = fields.name(job)
        labels = {"job-name": name, "batch.kubernetes.io/job-name": name, "controller-uid": fields.uid(job)}
        await self._create(job, plan.create, labels)
        await self._delete(pods, plan.remove)
        return plan.again_at

    async def _report(self, owner: Object, status: Object) -> None:
        current = fields.mapping(owner, "status")
        if any(current.get(field) != value for field, value in status.items()):
            await self._cluster.report(owner, status)

    async def _create(self, owner: Object, count: int, labels: Mapping[str, str]) -> None:
        for _ in range(count):
            try:
                await self._cluster.create_pod(templates.pod(owner, suffix=self._new_suffix(), labels=dict(labels)))
            except ObjectExists:
                _log.info("A Pod name of %s was taken; another is tried at the next turn.", fields.key(owner))

    async def _delete(self, pods: Sequence[Object], names: Sequence[str]) -> None:
        for pod in pods:
            if fields.name(pod) in names:
                await self._cluster.delete_pod(pod)
