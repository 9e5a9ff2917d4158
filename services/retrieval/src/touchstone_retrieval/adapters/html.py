"""HTML to plain text by selectolax: what a reader came for, without navigation, banners and scripts.

Headings are set off by two blank lines, blocks by one, items and rows by none, so that the recursive splitter cuts
before sections first, then between paragraphs. Cells of a row are joined by bars; preformatted text keeps its lines.
"""

import re
from typing import NamedTuple

from selectolax.lexbor import LexborHTMLParser, LexborNode

_BOILERPLATE = (
    "script, style, noscript, template, svg, iframe, object, form, button, nav, aside, footer, dialog, "
    "body > header, [hidden], [aria-hidden='true'], [role='navigation'], [role='banner'], [role='contentinfo'], "
    "[role='complementary'], [role='search']"
)
_SECTION, _BLOCK, _LINE = "\x1c", "\x1d", "\x1e"
_GAPS = {_SECTION: "\n\n\n", _BLOCK: "\n\n", _LINE: "\n"}
_MARKED = {
    _SECTION: "h1, h2, h3, h4, h5, h6",
    _BLOCK: "p, div, section, article, header, ul, ol, dl, table, blockquote, pre, figure, hr, details",
    _LINE: "li, tr, dt, dd, br, caption, figcaption, summary",
}
_KEPT_SPACE, _KEPT_NEWLINE = "\ue000", "\ue001"
_MARKS = re.compile(r"([\x1c-\x1e\s]*[\x1c-\x1e][\x1c-\x1e\s]*)")
_FORBIDDEN = re.compile(r"[\x1c-\x1e\ue000\ue001]")


class Page(NamedTuple):
    """A page as read."""

    title: str
    text: str


def read(html: str) -> Page:
    """Read a page; its title is the `title` element, else the first heading; its text is `main`'s if there is one."""
    tree = LexborHTMLParser(_FORBIDDEN.sub(" ", html))
    title_node = tree.css_first("title") or tree.css_first("h1")
    title = " ".join(title_node.text().split()) if title_node else ""
    root = tree.css_first("main, [role='main']") or tree.css_first("article") or tree.body
    return Page(title, text_of(root) if root else "")


def text_of(root: LexborNode) -> str:
    """Write the text of a node; the tree is changed."""
    for node in root.css(_BOILERPLATE):
        node.decompose()
    for cell in root.css("td + td, th + th, th + td, td + th"):
        cell.insert_before(" | ")
    for pre in root.css("pre"):
        kept = pre.text().strip("\n").replace(" ", _KEPT_SPACE).replace("\n", _KEPT_NEWLINE)
        pre.replace_with(f"{_BLOCK}{kept}{_BLOCK}")
    for mark, selector in _MARKED.items():
        for node in root.css(selector):
            node.insert_before(mark)
            node.insert_after(_BLOCK if mark == _SECTION else mark)
    written = []
    for position, piece in enumerate(_MARKS.split(root.text())):
        is_gap = position % 2
        written.append(_widest(piece) if is_gap else " ".join(piece.split()))
    text = "".join(written).strip()
    return text.replace(_KEPT_SPACE, " ").replace(_KEPT_NEWLINE, "\n")


def _widest(marks: str) -> str:
    return next(gap for mark, gap in _GAPS.items() if mark in marks)
