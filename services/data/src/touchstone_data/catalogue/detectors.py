"""What the steps can tell of a text, for reports."""

from collections.abc import Sequence

from touchstone_data.catalogue import language, redact_pii


class StepDetectors:
    """Tells what the steps `language` and `redact-pii` would."""

    def language(self, text: str) -> str:
        """Name its language by its ISO 639-1 code."""
        return language.told(text).code

    def personal(self, text: str) -> Sequence[str]:
        """Name the kinds of personal data in it."""
        return [finding.kind for finding in redact_pii.find(text, redact_pii.KINDS, redact_pii.PHONE_REGIONS)]
