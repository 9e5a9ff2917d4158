"""Text out of HTML, without what is not content. Texts without tags or entities stay as they are."""

import html
import re
from functools import partial

from selectolax.lexbor import LexborHTMLParser

from touchstone_data.catalogue.editing import editing
from touchstone_data.core.steps import FIELDS_SCHEMA, Step

NOISE = [
    "script", "style", "noscript", "template", "svg", "iframe", "nav", "header", "footer", "aside", "form", "button",
]  # fmt: skip
"""Elements that hold no content."""
BREAKS = "br, p, div, li, tr, table, ul, ol, section, article, blockquote, pre, h1, h2, h3, h4, h5, h6, dt, dd, hr"

_INLINE = "a|abbr|b|body|code|em|font|head|html|i|img|label|s|small|span|strong|sub|sup|tbody|td|th|thead|title|u"
_BLOCKS = "|".join(BREAKS.split(", "))
_TAG = re.compile(rf"</?(?:{_INLINE}|{_BLOCKS}|{'|'.join(NOISE)})(?:\s[^<>]*)?/?>|<!--|<!doctype", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:[a-z]{2,8}|#\d{1,6}|#x[0-9a-f]{1,5});", re.IGNORECASE)
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r"\n\s*\n\s*")


def clean(text: str) -> str:
    """Turn HTML into text; a text that only has entities has them resolved."""
    if not _TAG.search(text):
        return html.unescape(text) if _ENTITY.search(text) else text
    tree = LexborHTMLParser(text)
    tree.strip_tags(NOISE)
    root = tree.body
    if root is None:
        return ""
    for node in root.css(BREAKS):
        node.insert_before("\n")
        node.insert_after("\n")
    found = _SPACES.sub(" ", root.text(deep=True))
    lines = "\n".join(line.strip() for line in found.split("\n"))
    return _LINES.sub("\n\n", lines).strip()


STEP = Step(
    name="clean-html",
    version=1,
    description="Turns HTML into text: tags, scripts, navigation and forms are left out, blocks become lines.",
    parameters={"fields": FIELDS_SCHEMA},
    by_record=partial(editing, clean),
)
