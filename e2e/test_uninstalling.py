"""Taking the platform away and bringing it back: the kinds and their objects stay."""

from typing import Any

import pytest

pytestmark = pytest.mark.timeout(900)


def test_an_uninstalled_platform_leaves_objects_and_a_new_one_adopts_them(kubernetes: Any, release: Any) -> None:
    deployment = ("modeldeployment", "support-assistant", "-n", "default")
    before = kubernetes.get(*deployment)
    for chart in ("touchstone", "touchstone-crds"):
        release.helm("uninstall", chart, "-n", "touchstone", "--wait")
    kept = kubernetes.get(*deployment)
    assert kept["metadata"]["uid"] == before["metadata"]["uid"]
    assert kept["status"]["stableRevision"] == before["status"]["stableRevision"]
    release.install()
    kubernetes.until(
        lambda: kubernetes.condition("modeldeployment", "support-assistant", "Ready").get("status") == "True",
        "readiness after the reinstallation",
        240,
    )
    after = kubernetes.get(*deployment)
    assert after["status"]["stableRevision"] == before["status"]["stableRevision"]
    runs = kubernetes.get("evalruns", "-n", "default")["items"]
    assert all(run["status"].get("verdict") for run in runs), "nothing is measured again"
