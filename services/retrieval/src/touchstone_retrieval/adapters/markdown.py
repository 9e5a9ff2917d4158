"""Markdown to plain text: rendered by markdown-it, then read as HTML, so that both kinds of page look alike."""

import yaml
from markdown_it import MarkdownIt

from touchstone_retrieval.adapters import html
from touchstone_retrieval.adapters.html import Page

_FRONT_MATTER = "---\n"
_MARKDOWN = MarkdownIt("commonmark").enable("table")


def read(text: str) -> Page:
    """Read a page; its title is the front matter's, else the first heading's."""
    front_title, body = _front_matter(text)
    page = html.read(f"<body><main>{_MARKDOWN.render(body)}</main></body>")
    return Page(front_title or page.title, page.text)


def _front_matter(text: str) -> Page:
    head, mark, body = text.removeprefix(_FRONT_MATTER).partition("\n---\n")
    if not (text.startswith(_FRONT_MATTER) and mark):
        return Page("", text)
    try:
        fields = yaml.safe_load(head)
    except yaml.YAMLError:
        return Page("", text)
    title = fields.get("title") if isinstance(fields, dict) else None
    return Page(title if isinstance(title, str) else "", body)
