"""Probes: gRPC health, HTTP, TCP, commands."""

import asyncio
from collections.abc import Mapping

from touchstone_local import health
from touchstone_local.kubelet.core.probing import Method, Probe


class LocalProber:
    """Implements the port `Prober`."""

    async def probe(self, probe: Probe, *, ip: str, environ: Mapping[str, str]) -> bool:
        """Return whether a container passes; no answer in time is a failure."""
        host = probe.host or ip
        try:
            async with asyncio.timeout(max(1, probe.timeout_seconds)):
                match probe.method:
                    case Method.GRPC:
                        return await health.grpc_passes(f"{host}:{probe.port}", service=probe.service)
                    case Method.HTTP:
                        return await _http(probe, host)
                    case Method.TCP:
                        return await health.tcp_passes(host, probe.port)
                    case Method.EXEC:
                        return await _exec(probe, environ)
        except TimeoutError:
            return False


async def _http(probe: Probe, host: str) -> bool:
    path = probe.path if probe.path.startswith("/") else f"/{probe.path}"
    return await health.http_passes(f"{probe.scheme}://{host}:{probe.port}{path}", headers=dict(probe.headers))


async def _exec(probe: Probe, environ: Mapping[str, str]) -> bool:
    try:
        process = await asyncio.create_subprocess_exec(
            *probe.command,
            env=dict(environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return False
    try:
        return await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
