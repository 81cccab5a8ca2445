"""A page as a browser sees it: which elements with which attributes, and the words between them."""

from html.parser import HTMLParser

VOID = {"meta", "link", "br", "wbr"}
INLINE = {"bdi", "wbr"}


class Page(HTMLParser):
    """The elements of a page; a tag that is closed by another is an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self.texts.append("" if tag in INLINE else " ")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.texts.append("" if tag in INLINE else " ")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        """Every element with the names of its attributes: what a name must never change."""
        return [(tag, tuple(attributes)) for tag, attributes in self.tags]

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())
