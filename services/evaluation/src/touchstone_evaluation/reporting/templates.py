"""The pages' templates: one style, and numbers written alike."""

import jinja2

from touchstone_evaluation.reporting import drawings


def environment() -> jinja2.Environment:
    """Make what finds the templates of this folder; a name that is not given is an error."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("touchstone_evaluation", "reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    found.filters["number"] = drawings.number
    return found
