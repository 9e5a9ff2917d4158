"""`python charts/tools/schemas.py FOLDER`: the JSON schemas of Kubernetes' kinds, made from its own OpenAPI documents.

The documents come with Kubernetes' Go module, so that no collection of schemas on a server of somebody else is asked.
They are written for `kubeconform -strict`, one folder a version: what a definition does not name is refused.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

DOCUMENTS = {
    "1.32.13": "2335b4e7f79df85b20066164b14d8f02dd077dee7cd8c7b7fb425009c9837e85",
    "1.36.3": "dcede2063da1d7ad62ecb5af8adb6d7fabd0b52385a7fa0048afb491dac90450",
}
"""The oldest Kubernetes that we install on, and the one that we are tested on: sha256 of their documents."""
KINDS = "x-kubernetes-group-version-kind"
DEFINITIONS = "_definitions.json"
TEXT_OR_NUMBER = {"oneOf": [{"type": "string"}, {"type": "number"}]}
"""OpenAPI 2 calls these strings, and the server reads numbers as well."""
NOT_JUST_TEXT = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": TEXT_OR_NUMBER,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": TEXT_OR_NUMBER,
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": {},
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray": {},
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool": {},
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": {},
}
"""Definitions whose OpenAPI 2 form says less than the server accepts."""


def main(target: Path) -> None:
    """Write the schemas of each version that are not there yet, and print the versions."""
    for version, digest in DOCUMENTS.items():
        folder = target / f"v{version}"
        if not (folder / DEFINITIONS).exists():
            write(document(version, digest), folder)
        print(version)


def document(version: str, digest: str) -> dict[str, Any]:
    """Fetch a version's OpenAPI document."""
    go = shutil.which("go")
    if go is None:
        sys.exit("Error: Go is needed to fetch Kubernetes' OpenAPI document; install it and try again")
    command = [go, "mod", "download", "-json", f"k8s.io/kubernetes@v{version}"]
    told = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    content = (Path(json.loads(told.stdout)["Dir"]) / "api/openapi-spec/swagger.json").read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        sys.exit(f"Error: the OpenAPI document of Kubernetes {version} has sha256 {found}, not {digest}")
    return dict(json.loads(content))


def write(openapi: dict[str, Any], folder: Path) -> None:
    """Write one file for each kind, and last the definitions that all refer to."""
    folder.mkdir(parents=True, exist_ok=True)
    definitions = {}
    for name, definition in openapi["definitions"].items():
        definitions[name] = NOT_JUST_TEXT[name] if name in NOT_JUST_TEXT else strict(definition)
        for kind in definition.get(KINDS, ()):
            parts = [kind["kind"], kind["group"].partition(".")[0], kind["version"]]
            schema = {**definitions[name], "required": ["apiVersion", "kind", *definition.get("required", ())]}
            path = folder / ("-".join(part for part in parts if part).lower() + ".json")
            path.write_text(json.dumps(schema))
    (folder / DEFINITIONS).write_text(json.dumps({"definitions": definitions}))


def strict(node: Any) -> Any:
    """Return a definition that refuses what it does not name, with references into the file of definitions."""
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {key: strict(value) for key, value in node.items()}
    if isinstance(reference := result.get("$ref"), str):
        result["$ref"] = reference.replace("#/", f"{DEFINITIONS}#/", 1)
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        result.setdefault("additionalProperties", False)
    return result


if __name__ == "__main__":
    main(Path(sys.argv[1]))
