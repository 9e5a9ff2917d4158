"""Tasks by entry point: a package of anybody's may bring some."""

from collections.abc import Mapping
from importlib.metadata import entry_points

from touchstone_evaluation import errors
from touchstone_evaluation.core.task import Task

GROUP = "touchstone.evaluation.tasks"


def installed() -> Mapping[str, Task]:
    """Load all tasks that are installed, by name.

    Raises:
        TaskBroken: One cannot be loaded, calls itself otherwise than its entry point, or is there twice.
    """
    found: dict[str, Task] = {}
    for point in entry_points(group=GROUP):
        package = point.dist.name if point.dist else "unknown"
        try:
            task: Task = point.load()
        except (ImportError, AttributeError) as error:
            raise errors.TaskBroken(point.name, package, str(error)) from error
        if getattr(task, "name", None) != point.name:
            raise errors.TaskBroken(point.name, package, "the task has another name than its entry point")
        if point.name in found:
            raise errors.TaskBroken(point.name, package, "another package has a task of this name")
        found[point.name] = task
    return found
