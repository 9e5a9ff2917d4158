"""Chat templates where models keep them: beside a tokenizer, in a file of their own, or within a GGUF file."""

import struct
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from gguf import GGUFReader

from touchstone_data.core.chat_templates import DEFAULT, ChatRenderer, ChatTemplates
from touchstone_data.core.steps import Parameters

CONFIG, TEMPLATE, OTHERS = "tokenizer_config.json", "chat_template.jinja", "additional_chat_templates"
SPECIAL = "special_tokens_map.json"
SCHEMA: dict[str, Any] = {
    "template": {
        "type": "string", "default": "",
        "description": "Name of one of several templates. Empty: tool_use where a record has tools, else default.",
    },
    "variables": {
        "type": "object", "default": {},
        "description": "What the template may ask for, as enable_thinking; also tokens that its file does not name.",
    },
    "date": {
        "type": "string", "pattern": r"^(\d{4}-\d{2}-\d{2})?$", "default": "",
        "description": "What the template is told when it asks for today's date.",
    },
}  # fmt: skip
"""Parameters of steps that render."""


def renderer(found: ChatTemplates, parameters: Parameters) -> ChatRenderer:
    """Make a renderer by the parameters of SCHEMA.

    Raises:
        ValueError: There is no template, or it cannot be used.
    """
    return ChatRenderer(
        found,
        name=parameters["template"],
        variables=parameters["variables"],
        date=datetime.fromisoformat(parameters["date"]) if parameters["date"] else None,
    )


def check(parameters: Parameters) -> str:
    """Say that the date is none."""
    try:
        datetime.fromisoformat(parameters["date"] or "2000-01-01")
    except ValueError:
        return f"date: there is no day {parameters['date']}."
    return ""


def read(path: Path) -> ChatTemplates:
    """Read the templates of a tokenizer.

    Args:
        path: Its folder, its `tokenizer_config.json`, a template as `.jinja`, or a model as `.gguf`.

    Raises:
        ValueError: There is none, or it cannot be read.
    """
    try:
        if path.is_dir():
            return _of_folder(path)
        if path.suffix == ".jinja":
            return ChatTemplates(templates={DEFAULT: path.read_text(encoding="utf-8")})
        if path.suffix == ".gguf":
            return _of_gguf(path)
        return _of_config(_document(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error


def _of_folder(folder: Path) -> ChatTemplates:
    config = _document(folder / CONFIG) if (folder / CONFIG).exists() else {}
    special = _document(folder / SPECIAL) if (folder / SPECIAL).exists() else {}
    found = _of_config({**special, **config})
    files = {DEFAULT: folder / TEMPLATE} if (folder / TEMPLATE).exists() else {}
    files |= {file.stem: file for file in sorted((folder / OTHERS).glob("*.jinja"))}
    templates = {name: file.read_text(encoding="utf-8") for name, file in files.items()}
    # A file of its own is the newer form, and stands for all that the configuration says.
    return ChatTemplates(templates=templates or found.templates, tokens=found.tokens)


def _of_config(config: Mapping[str, Any]) -> ChatTemplates:
    given = config.get("chat_template")
    if isinstance(given, list):
        templates = {str(one["name"]): str(one["template"]) for one in given}
    else:
        templates = {DEFAULT: given} if isinstance(given, str) else {}
    tokens = {name: _token(value) for name, value in config.items() if name.endswith("_token")}
    return ChatTemplates(templates=templates, tokens={name: token for name, token in tokens.items() if token})


def _token(value: Any) -> str:
    content = value.get("content") if isinstance(value, Mapping) else value
    return content if isinstance(content, str) else ""


def _of_gguf(path: Path) -> ChatTemplates:
    try:
        fields = GGUFReader(path).fields
    except (ValueError, IndexError, struct.error) as error:
        raise ValueError(f"{path.name} is no GGUF file: {error}") from error
    prefix, tokens = "tokenizer.chat_template", fields.get("tokenizer.ggml.tokens")
    templates = {
        name.removeprefix(prefix).lstrip(".") or DEFAULT: str(one.contents())
        for name, one in fields.items()
        if name == prefix or name.startswith(f"{prefix}.")
    }
    kinds = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    numbers = {kind: fields.get(f"tokenizer.ggml.{key}_token_id") for kind, key in kinds.items()}
    named = {kind: str(tokens.contents(int(n.contents()))) for kind, n in numbers.items() if n and tokens}
    return ChatTemplates(templates=templates, tokens=named)


def _document(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} is not a JSON object.")
    return found
