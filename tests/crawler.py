"""Follows every link of the tool from its first page, as one person, and reads each page as its readers do.

What must hold for every page stands in `faults`; what holds between pages (anchors of other pages, titles) in
`faults_between`. Forms that only ask (GET) are followed too, once for each choice they offer.
"""

import gzip
import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from tests.profiles import portion
from tests.unit.test_words import BANNED

# A list of a hundred people has a hundred pages of one shape; so many of them are opened in a full run.
MAX_OF_A_SHAPE = portion(12)
MAX_HTML = 12 * 1024

VOID = frozenset(("area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr"))
# What readers and screen readers get to know beside the text.
SPOKEN = ("aria-label", "alt", "title", "placeholder", "data-says")
# Only in the address: which notice is shown, whose ticket a join link has, and what a search asked for.
PASSING = frozenset(("done", "ticket"))
# What takes something back never presses itself on anyone.
UNDOING = re.compile(r"/(withdraw|undo|disable)$")
# The first page of a trainee says what to do next.
PRESSING = re.compile(r"/")
FOR_MACHINES = ("/lti/jwks.json",)
ELSEWHERE = ("https:", "http:", "mailto:", "webcal:", "webcals:", "tel:")

# Addresses, examples of what a field takes, and the custom parameter that staff type in the LMS.
NOT_WORDS = re.compile(r"\S+@\S+|https?://\S+|(?<=such as )\S+|\bmodule_id\b")
RAW = {
    "a banned word": BANNED,
    "a name of the program": re.compile(r"\b[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+\b"),
    "UTC": re.compile(r"\bUTC\b"),
    "a machine's time": re.compile(r"\b\d{4}-\d\d-\d\d\b|\d\d:\d\d:\d\d(?:\.|Z|\+)"),
    # Open edX itself shows its switches as True and False, and "None so far" is English.
    "a value of the program": re.compile(
        r"(?<!: )\b(?:True|False)\b|\bNone\b(?! (?:so|of|yet))|\b(?:undefined|NaN|nan|null)\b|\{\{|\}\}|\{%"
    ),
    "a long number or hash": re.compile(r"\b[0-9a-f]{16,}\b|\b[0-9a-f]{8}-[0-9a-f]{4}-"),
}


@dataclass(frozen=True)
class Answer:
    """What came back for one address."""

    status: int
    media_type: str
    html: str = ""
    leads_to: str = ""
    is_attached: bool = False


@dataclass
class Form:
    """A form: how and where it is sent, its fields, and the choices of each of its select boxes."""

    method: str
    action: str
    in_main: bool
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)


class Document(HTMLParser):
    """One page: its structure, links, forms, and all that it says outside "Technical details"."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.refers: set[str] = set()
        self.links: list[str] = []
        self.forms: list[Form] = []
        self.primaries: list[str] = []
        self.inline: list[str] = []
        self.headers_without_scope = 0
        self.words: list[str] = []
        self.title = ""
        self.shape: set[str] = set()
        self._open: list[tuple[str, dict[str, str]]] = []
        self._technical = 0
        self._select = ""
        self.feed(html)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in VOID:
            self._open.append((tag, given))
        self.tags[tag] += 1
        self.shape.add(" ".join((tag, given.get("class", ""), given.get("type", ""), given.get("role", ""))))
        if "id" in given:
            self.ids.append(given["id"])
        for name in ("aria-labelledby", "aria-describedby", "aria-controls", "for", "form"):
            self.refers |= set(given.get(name, "").split())
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if {"btn", "pri"} <= set(given.get("class", "").split()):
            self.primaries.append(given.get("href", tag))
        if tag == "th" and "scope" not in given:
            self.headers_without_scope += 1
        self._note_inline(tag, given)
        self._note_form(tag, given)
        if not self._technical and "hidden" not in given:
            self.words += [given[name] for name in SPOKEN if name in given]
            if given.get("type") in ("submit", "button"):
                self.words.append(given.get("value", ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            closed, given = self._open.pop()
            if closed == "details" and "data-technical" in given:
                self._technical -= 1
            if closed == tag:
                return

    def handle_data(self, data: str) -> None:
        inside = {tag for tag, _ in self._open}
        if "title" in inside and "svg" not in inside:
            self.title += data
        if "summary" in inside and data.strip().startswith("Technical details"):
            fold = next(given for tag, given in reversed(self._open) if tag == "details")
            if "data-technical" not in fold:
                fold["data-technical"] = ""
                self._technical += 1
        # Names of another system's settings stand in code.
        elif not self._technical and not inside & {"script", "style", "textarea", "code"}:
            self.words.append(data)

    def _note_inline(self, tag: str, given: dict[str, str]) -> None:
        self.inline += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and not given.get("src", "").startswith("/")):
            self.inline.append(tag)
        if tag in ("link", "img", "iframe"):
            source = given.get("href") or given.get("src", "")
            if not source.startswith(("/", "data:")):
                self.inline.append(f"{tag} from {source}")
        if given.get("href", "").startswith("javascript:"):
            self.inline.append("a script in a link")

    def _note_form(self, tag: str, given: dict[str, str]) -> None:
        if tag == "form":
            in_main = any(name == "main" for name, _ in self._open)
            self.forms.append(Form(given.get("method", "get").lower(), given.get("action", ""), in_main))
        if not self.forms or not any(name == "form" for name, _ in self._open):
            return
        form = self.forms[-1]
        if tag == "select":
            self._select = given.get("name", "")
            form.choices[self._select] = []
        elif tag == "option":
            form.choices[self._select].append(given.get("value", ""))
            if "selected" in given or self._select not in form.fields:
                form.fields[self._select] = given.get("value", "")
        elif tag == "input" and given.get("name"):
            if given.get("type") in ("checkbox", "radio"):
                form.choices.setdefault(given["name"], []).append(given.get("value", "on"))
                if "checked" not in given:
                    return
            form.fields[given["name"]] = given.get("value", "")

    def asks(self, here: str) -> Iterator[str]:
        """The addresses that the forms which only ask lead to: as they stand, and with each of their choices."""
        for form in self.forms:
            if form.method != "get":
                continue
            address = urljoin(here, form.action or urlsplit(here).path).partition("?")[0]
            variants = [{name: value} for name, values in form.choices.items() for value in values]
            for variant in [{}, *variants]:
                yield f"{address}?{urlencode(form.fields | variant)}"


@dataclass(frozen=True)
class Found:
    """One page as it was found: its address, and the page that led there."""

    path: str
    led_by: str
    answer: Answer

    @cached_property
    def document(self) -> Document:
        return Document(self.answer.html)

    @property
    def is_page(self) -> bool:
        return self.answer.media_type == "text/html"

    @property
    def shape(self) -> str:
        return shape_of(self.path)

    @property
    def state(self) -> tuple[str, frozenset[str]]:
        """What the page consists of. Two pages of one state look alike, but for their words."""
        return self.shape, frozenset(self.document.shape)


def normalised(address: str, here: str = "/") -> str:
    """The address of a page of ours without what only passes; empty if it leads elsewhere."""
    address = urljoin(here, address)
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return ""
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name not in PASSING and value])
    return f"{parts.path}?{query}" if query else parts.path


def shape_of(path: str) -> str:
    """The address with numbers and names of things left out: pages of one shape come from one view."""
    parts = urlsplit(path)
    names = sorted({name for name, _ in parse_qsl(parts.query)})
    return f"{re.sub(r'/([0-9]+|[A-Z][A-Z0-9_]*)(?=/|$)', '/…', parts.path)}?{'&'.join(names)}"


def crawl(fetch: Callable[[str], Answer], *starts: str, skips: Sequence[str] = ()) -> list[Found]:
    """Every page that links lead to from `starts`, each once. `skips` are parts of addresses that are not opened."""
    found: list[Found] = []
    seen = set(starts)
    shapes: Counter[str] = Counter()
    ahead = deque((start, "") for start in starts)
    while ahead:
        path, led_by = ahead.popleft()
        page = Found(path, led_by, fetch(path))
        found.append(page)
        onward = [page.answer.leads_to] if page.answer.leads_to else []
        if page.is_page and page.answer.status == 200:
            onward += [*page.document.links, *page.document.asks(path)]
        for address in onward:
            there = normalised(address, path)
            if not there or there in seen or any(each in there for each in skips):
                continue
            seen.add(there)
            shapes[shape_of(there)] += 1
            if shapes[shape_of(there)] <= MAX_OF_A_SHAPE:
                ahead.append((there, path))
    return found


def faults(page: Found, names: Iterable[str] = ()) -> list[str]:
    """What is wrong with one page. `names` are names of the program (modules, bodies) that no reader should see."""
    answer = page.answer
    if answer.leads_to:
        return [] if answer.status in (302, 303) else [f"a redirect with {answer.status}"]
    if answer.status != 200:
        return [f"answers {answer.status}"]
    if not page.is_page:
        known = answer.is_attached or page.path in FOR_MACHINES or answer.media_type == "text/calendar"
        return [] if known else [f"{answer.media_type} is neither a page nor a download"]
    return [*_structure(page), *_wording(page.document, names)]


def _structure(page: Found) -> Iterator[str]:
    document, html = page.document, page.answer.html
    for tag in ("h1", "main"):
        if document.tags[tag] != 1:
            yield f"{document.tags[tag]} {tag}"
    if "#page" not in document.links:
        yield "no way past the bar"
    if not re.search(r'<html lang="(en|es)">', html):
        yield "no language"
    if not re.fullmatch(r"\S.* · Gatehouse", document.title.strip()):
        yield f"the title {document.title!r}"
    if document.inline:
        yield f"inline or from elsewhere: {document.inline}"
    if twice := [name for name, count in Counter(document.ids).items() if count > 1]:
        yield f"ids twice: {twice}"
    if lost := document.refers - set(document.ids):
        yield f"refers to ids that are missing: {sorted(lost)}"
    if document.tags["table"] != document.tags["caption"]:
        yield "a table without a caption"
    if document.headers_without_scope:
        yield "a heading of a table without a scope"
    if len(document.primaries) > 1:
        yield f"{len(document.primaries)} primary buttons: {document.primaries}"
    acts = {form.action for form in document.forms if form.in_main and form.method == "post"}
    # Lists of staff have acts in their rows.
    if (
        not page.path.startswith("/desk")
        and len(acts) == 1
        and not document.primaries
        and not any(UNDOING.search(each) for each in acts)
    ):
        yield f"an act without a primary button: {acts}"
    if PRESSING.fullmatch(page.path) and len(document.primaries) != 1:
        yield "no primary button on a page that says what to do next"
    if unknown := [each for each in document.links if ":" in each.split("/")[0] and not each.startswith(ELSEWHERE)]:
        yield f"links of an unknown kind: {unknown}"
    if any(not each for each in document.links):
        yield "a link that leads nowhere"
    if (size := len(gzip.compress(html.encode()))) > MAX_HTML:
        yield f"{size} bytes"


def _wording(document: Document, names: Iterable[str]) -> Iterator[str]:
    text = NOT_WORDS.sub(" ", document.text)
    for what, pattern in RAW.items():
        for match in pattern.finditer(text):
            yield f"says {what}: …{text[max(match.start() - 40, 0) : match.end() + 20]}…"
    for name in names:
        if match := re.search(rf"\b{re.escape(name)}\b", text):
            yield f"says the id {name}: …{text[max(match.start() - 40, 0) : match.end() + 20]}…"


def faults_between(pages: Sequence[Found]) -> list[str]:
    """What is wrong between pages: links to parts of a page that are not there, and pages of two kinds with one
    title."""
    shown = {page.path: page.document for page in pages if page.is_page and page.answer.status == 200}
    lost = []
    titles: defaultdict[str, set[str]] = defaultdict(set)
    for path, document in shown.items():
        titles[document.title.strip()].add(urlsplit(shape_of(path)).path)
        for link in document.links:
            address, _, anchor = link.partition("#")
            there = normalised(address, path) if address else path
            if anchor and there in shown and anchor not in shown[there].ids:
                lost.append(f"{path}: {link} is not there")
    return lost + [f"{sorted(paths)} share the title {title!r}" for title, paths in titles.items() if len(paths) > 1]
