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
BLOCKS = "p, div, table, ul, ol, dl, section, article, blockquote, pre, h1, h2, h3, h4, h5, h6, hr"
LINES = "br, li, tr, dt, dd"

_INLINE = "a|abbr|b|body|code|em|font|head|html|i|img|label|s|small|span|strong|sub|sup|tbody|td|th|thead|title|u"
_BREAKS = "|".join(f"{BLOCKS}, {LINES}".split(", "))
_ATTRIBUTES = r"(?:\s[^<>]*=[^<>]*)?\s*/?>"
_BREAK_TAG = re.compile(rf"</?(?:{_BREAKS}){_ATTRIBUTES}", re.IGNORECASE)
_TAG = re.compile(rf"</?(?:{_INLINE}|{_BREAKS}|{'|'.join(NOISE)}){_ATTRIBUTES}|<!--|<!doctype", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:[a-z]{2,8}|#\d{1,6}|#x[0-9a-f]{1,5});", re.IGNORECASE)
_BLOCK, _LINE = "\x1d", "\x1e"
_GAP = re.compile(r"\s*[\x1d\x1e][\s\x1d\x1e]*")


def clean(text: str) -> str:
    """Turn HTML into text; a text that only has entities has them resolved.

    Where no tag says how lines are broken, those of the text are kept: a letter with a bold word is still a letter.
    """
    if not _TAG.search(text):
        return html.unescape(text) if _ENTITY.search(text) else text
    tree = LexborHTMLParser(text)
    tree.strip_tags(NOISE)
    root = tree.body
    if root is None:
        return ""
    for mark, selector in ((_BLOCK, BLOCKS), (_LINE, LINES)):
        for node in root.css(selector):
            node.insert_before(mark)
            node.insert_after(mark)
    found = root.text(deep=True)
    if _BREAK_TAG.search(text):
        found = found.replace("\n", " ")
    lines = _GAP.sub(_gap, found).split("\n")
    return "\n".join(" ".join(line.split()) for line in lines).strip()


def _gap(marks: re.Match[str]) -> str:
    return "\n\n" if _BLOCK in marks[0] else "\n"


STEP = Step(
    name="clean-html",
    version=1,
    description="Turns HTML into text: tags, scripts, navigation and forms are left out, blocks become lines.",
    parameters={"fields": FIELDS_SCHEMA},
    by_record=partial(editing, clean),
)
