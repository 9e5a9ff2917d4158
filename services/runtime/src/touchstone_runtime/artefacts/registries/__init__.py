"""Artefacts in OCI registries, as ORAS keeps them: one layer a file, its title the file's path.

`pull` brings such an artefact to a folder, `push` makes one of a folder; the rest of the platform needs no more. No
layers of container images are opened, and nothing is deleted in a registry.
"""

from touchstone_runtime.artefacts.registries.pulling import pull
from touchstone_runtime.artefacts.registries.pushing import check, push
from touchstone_runtime.artefacts.registries.surroundings import Surroundings

__all__ = ["Surroundings", "check", "pull", "push"]
