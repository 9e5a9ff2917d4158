"""Steps that change texts in place."""

from collections.abc import Callable

from touchstone_data.core.records import Drop, Record, with_texts
from touchstone_data.core.steps import Parameters, RecordWork, Surroundings

Edit = Callable[[str], str]


def editing(edit: Edit, parameters: Parameters, surroundings: Surroundings) -> RecordWork:
    """Make a work that edits the texts of a record; what is no text stays as it is."""
    paths = surroundings.fields(parameters)

    def work(record: Record) -> Record | Drop:
        for path in paths:
            record = with_texts(record, path, edit)
        return record

    return work
