"""Steps by entry point: a package of anybody's may bring some."""

from importlib.metadata import entry_points

from touchstone_data import errors
from touchstone_data.core.steps import Step

GROUP = "touchstone.data.steps"


def installed() -> dict[str, Step]:
    """Load all steps that are installed, by name.

    Raises:
        StepBroken: One cannot be loaded, calls itself otherwise than its entry point, or is there twice.
    """
    found: dict[str, Step] = {}
    for point in entry_points(group=GROUP):
        package = point.dist.name if point.dist else "unknown"
        try:
            step = point.load()
        except (ImportError, AttributeError) as error:
            raise errors.StepBroken(point.name, package, str(error)) from error
        if not isinstance(step, Step) or step.name != point.name:
            raise errors.StepBroken(point.name, package, "it is no Step with the name of its entry point")
        if point.name in found:
            raise errors.StepBroken(point.name, package, "another package has a step of this name")
        found[point.name] = step
    return found
