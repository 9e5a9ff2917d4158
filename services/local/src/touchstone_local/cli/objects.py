"""Commands on Kubernetes objects: apply, get, delete, wait."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from touchstone_local.cli.context import Session, namespace_option, run

if TYPE_CHECKING:
    from touchstone_local.fields import Object
    from touchstone_local.kube.cluster import Cluster
    from touchstone_local.kube.resources import Resource


@click.command()
@click.option(
    "-f",
    "--filename",
    "paths",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="YAML file, or folder of them. Repeatable.",
)
@namespace_option
@click.pass_obj
def apply(session: Session, paths: tuple[Path, ...], namespace: str) -> None:
    """Create or change objects by server-side apply."""
    run(_apply(session, paths, namespace))


@click.command()
@click.argument("kind")
@click.argument("name", required=False, default="")
@namespace_option
@click.option("-A", "--all-namespaces", is_flag=True, help="Objects of all namespaces.")
@click.option("-l", "--selector", default="", help="Labels: key=value,…")
@click.option("-o", "--output", type=click.Choice(["wide", "yaml", "json", "name"]), default=None, help="Format.")
@click.option("-w", "--watch", is_flag=True, help="Go on as objects change.")
@click.pass_obj
def get(
    session: Session,
    kind: str,
    name: str,
    *,
    namespace: str,
    all_namespaces: bool,
    selector: str,
    output: str | None,
    watch: bool,
) -> None:
    """Show objects: KIND[,KIND…] [NAME] or KIND/NAME; short names and `touchstone`, for all of ours, will do."""
    kind, name = _kind_and_name(kind, name)
    view = View(namespace="" if all_namespaces else namespace, selector=selector, output=output or "")
    run(_get(session, kind, name, view, watch=watch))


@click.command()
@click.argument("kind")
@click.argument("name", required=False, default="")
@namespace_option
@click.option("--grace-period", type=int, default=None, help="Seconds until it is killed.")
@click.pass_obj
def delete(session: Session, kind: str, name: str, namespace: str, grace_period: int | None) -> None:
    """Delete an object: KIND NAME or KIND/NAME."""
    kind, name = _kind_and_name(kind, name)
    if not name:
        raise click.UsageError("Say which one: touchstone delete KIND NAME.")
    run(_delete(session, kind, name, namespace, grace_period))


@click.command()
@click.argument("kind")
@click.argument("name", required=False, default="")
@click.option("--for", "claim", required=True, help="condition=NAME[=STATUS], or delete.")
@click.option("--timeout", "timeout_seconds", default=300.0, show_default=True, help="Seconds.")
@namespace_option
@click.pass_obj
def wait(session: Session, kind: str, name: str, *, claim: str, timeout_seconds: float, namespace: str) -> None:
    """Wait until a condition of an object holds."""
    kind, name = _kind_and_name(kind, name)
    run(_wait(session, kind, name, claim=claim, timeout_seconds=timeout_seconds, namespace=namespace))


COMMANDS = (apply, get, delete, wait)


class View:
    """How objects are shown."""

    def __init__(self, *, namespace: str, selector: str, output: str) -> None:
        self.namespace = namespace
        self.selector = selector
        self.output = output

    def lines(self, table: "Object", *, prefix: str = "") -> list[str]:
        """Return a table's lines."""
        from touchstone_local.kube import tables  # noqa: PLC0415

        return tables.render(table, is_wide=self.output == "wide", with_namespace=not self.namespace, prefix=prefix)


def _kind_and_name(kind: str, name: str) -> tuple[str, str]:
    if "/" in kind and not name:
        kind, _, name = kind.partition("/")
    return kind, name


async def _apply(session: Session, paths: tuple[Path, ...], namespace: str) -> None:
    from touchstone_local import fields  # noqa: PLC0415
    from touchstone_local.kube import applying, manifests  # noqa: PLC0415

    objects = [obj for path in paths for obj in manifests.load(path)]
    async with await session.connect() as cluster:
        async for applied in applying.apply(cluster, objects, namespace=namespace):
            kind = applied.resource.kind.lower()
            group = f".{applied.resource.group}" if applied.resource.group else ""
            click.echo(f"{kind}{group}/{fields.name(applied.object)} {applied.outcome}")


async def _get(session: Session, kind: str, name: str, view: View, *, watch: bool) -> None:
    from touchstone_local.kube.discovery import Discovery  # noqa: PLC0415

    async with await session.connect() as cluster:
        discovery = await Discovery.load(cluster)
        resources = [resource for each in kind.split(",") for resource in discovery.find_all(each)]
        found = False
        for resource in resources:
            full = f"{resource.kind.lower()}.{resource.group}".rstrip(".")
            prefix = f"{full}/" if len(resources) > 1 else ""
            found = await _show(cluster, resource, name, view, prefix=prefix) or found
        if not found and not watch:
            where = f" in {view.namespace}" if view.namespace else ""
            click.echo(f"No {kind} found{where}.", err=True)
        if watch:
            await _watch(cluster, resources[0], name, view)


async def _show(cluster: "Cluster", resource: "Resource", name: str, view: View, *, prefix: str) -> bool:
    """Print the objects of a kind and return whether there are any."""
    from touchstone_local import fields  # noqa: PLC0415

    namespace = view.namespace if resource.is_namespaced else ""
    if view.output in ("", "wide"):
        table = await cluster.table(resource, namespace=namespace, name=name, label_selector=view.selector)
        lines = view.lines(table, prefix=prefix)
        if lines:
            click.echo("\n".join(lines))
        return bool(lines)
    if name:
        objects = [await cluster.get(resource, name=name, namespace=namespace)]
    else:
        listing = await cluster.list(resource, namespace=namespace, label_selector=view.selector)
        objects = [{"apiVersion": resource.api_version, "kind": resource.kind, **item} for item in listing.items]
    if view.output == "name":
        click.echo("\n".join(f"{resource.kind.lower()}/{fields.name(obj)}" for obj in objects))
    else:
        click.echo(
            _document(objects[0] if name else {"kind": "List", "apiVersion": "v1", "items": objects}, view.output)
        )
    return bool(objects)


async def _watch(cluster: "Cluster", resource: "Resource", name: str, view: View) -> None:
    from touchstone_local import fields  # noqa: PLC0415
    from touchstone_local.errors import ObjectNotFound  # noqa: PLC0415

    namespace = view.namespace if resource.is_namespaced else ""
    version = (await cluster.list(resource, namespace=namespace)).resource_version
    while True:
        async for event in cluster.watch(resource, namespace=namespace, name=name, resource_version=version):
            version = fields.text(event.object, "metadata", "resourceVersion") or version
            if event.type == "BOOKMARK":
                continue
            if event.type == "DELETED":
                click.echo(f"{fields.name(event.object)}   deleted")
            elif view.output in ("yaml", "json"):
                click.echo(f"---\n{_document(event.object, view.output)}")
            else:
                where = fields.namespace(event.object)
                try:
                    table = await cluster.table(resource, namespace=where, name=fields.name(event.object))
                except ObjectNotFound:
                    continue
                click.echo("\n".join(view.lines(table)[1:]))


async def _delete(session: Session, kind: str, name: str, namespace: str, grace_seconds: int | None) -> None:
    from touchstone_local.kube.discovery import Discovery  # noqa: PLC0415

    async with await session.connect() as cluster:
        resource = (await Discovery.load(cluster)).find(kind)
        where = namespace if resource.is_namespaced else ""
        await cluster.delete(resource, name=name, namespace=where, grace_seconds=grace_seconds)
        click.echo(f"{resource.kind.lower()}/{name} deleted")


async def _wait(session: Session, kind: str, name: str, *, claim: str, timeout_seconds: float, namespace: str) -> None:
    from touchstone_local.kube import waiting  # noqa: PLC0415
    from touchstone_local.kube.discovery import Discovery  # noqa: PLC0415

    what, _, rest = claim.partition("=")
    if what not in ("condition", "delete") or (what == "condition" and not rest):
        raise click.UsageError(f"'{claim}' is not understood. Say --for condition=Ready, or --for delete.")
    condition, _, status = rest.partition("=")
    wanted = waiting.is_gone if what == "delete" else waiting.condition_is(condition, status or "True")
    async with await session.connect() as cluster:
        resource = (await Discovery.load(cluster)).find(kind)
        await waiting.wait_for(
            cluster,
            resource,
            name=name,
            namespace=namespace if resource.is_namespaced else "",
            claim=wanted,
            timeout_seconds=timeout_seconds,
            describe=claim,
        )
    click.echo(f"{resource.kind.lower()}/{name}: {claim} holds")


def _document(obj: "Object", output: str) -> str:
    if output == "json":
        return json.dumps(obj, indent=2)
    import yaml  # noqa: PLC0415

    return str(yaml.safe_dump(obj, sort_keys=False, allow_unicode=True)).rstrip()
