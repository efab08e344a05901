"""What a file may be, by its content: neither its name nor what the browser says of it counts. PURE.

A name whose ending promises another kind than the content is refused: people open a file by its name.
"""

import codecs
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO
from zipfile import BadZipFile, ZipFile

from lti_tool.errors import BadInput
from lti_tool.languages import N_
from lti_tool.text import clean

MAX_FILE_BYTES = 50 * 1024 * 1024
MAX_NAME = 200
HEAD_BYTES = 512
# The list of contents of a ZIP file is read into memory: an office file has some hundred entries.
MAX_ZIP_LIST_BYTES = 1024 * 1024
ZIP_END, ZIP64_END = b"PK\x05\x06", b"PK\x06\x07"
ZIP_END_BYTES, ZIP_COMMENT_BYTES, ZIP64_END_BYTES = 22, 65_535, 20
# Text that browsers could take for a page.
MARKUP = re.compile(rb"\s*<(!doctype|html|head|body|script|iframe|svg|\?xml|!--)", re.IGNORECASE)
CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
MP3_FRAME = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")
OGG_AUDIO = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")
SHOWN_ENDING = re.compile(r"\.[a-z0-9]{1,8}")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file; the first of its endings is the usual one."""

    id: str
    words: str
    mimetype: str
    endings: tuple[str, ...]

    @property
    def is_audio(self) -> bool:
        return self.mimetype.startswith("audio/")


_OFFICE = "application/vnd.openxmlformats-officedocument"
KINDS: Mapping[str, Kind] = {
    each.id: each
    for each in (
        Kind("pdf", "PDF", "application/pdf", (".pdf",)),
        Kind("docx", N_("Word document"), f"{_OFFICE}.wordprocessingml.document", (".docx",)),
        Kind("pptx", N_("PowerPoint presentation"), f"{_OFFICE}.presentationml.presentation", (".pptx",)),
        Kind("xlsx", N_("Excel workbook"), f"{_OFFICE}.spreadsheetml.sheet", (".xlsx",)),
        Kind("png", N_("PNG image"), "image/png", (".png",)),
        Kind("jpeg", N_("JPEG image"), "image/jpeg", (".jpg", ".jpeg")),
        Kind("gif", N_("GIF image"), "image/gif", (".gif",)),
        Kind("webp", N_("WebP image"), "image/webp", (".webp",)),
        Kind("mp3", N_("MP3 audio"), "audio/mpeg", (".mp3",)),
        Kind("m4a", N_("M4A audio"), "audio/mp4", (".m4a", ".m4b")),
        Kind("wav", N_("WAV audio"), "audio/wav", (".wav",)),
        Kind("ogg", N_("Ogg audio"), "audio/ogg", (".ogg", ".oga", ".opus")),
        Kind("text", N_("Text"), "text/plain; charset=utf-8", (".txt", ".md", ".csv")),
    )
}
# What a package of each kind of office file holds, beside its list of types.
_PARTS = {"word/document.xml": "docx", "ppt/presentation.xml": "pptx", "xl/workbook.xml": "xlsx"}
ENDINGS = tuple(ending for each in KINDS.values() for ending in each.endings)


def verify_file(file: IO[bytes], name: str) -> Kind:
    """The kind of this file. `name` is as `name_of` gives it.

    Raises BadInput "file_empty", "file_too_large" (413), "file_kind_refused", "file_kind_wrong".
    """
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise BadInput("file_empty", "This file is empty.", "Choose the file again.")
    if size > MAX_FILE_BYTES:
        raise BadInput(
            "file_too_large",
            f"This file is larger than {MAX_FILE_BYTES // 2**20} MB.",
            "Make it smaller, or add a link to it instead.",
            status=413,
        )
    kind, ending = kind_of(file), _ending(name)
    if kind is None:
        raise BadInput(
            "file_kind_refused",
            "By its content, this file is of a kind that cannot be added.",
            "Add a PDF, a Word, PowerPoint or Excel file (without macros or password), an image (PNG, JPEG, GIF, "
            "WebP), audio (MP3, M4A, WAV, Ogg) or plain text in UTF-8.",
        )
    if ending and ending not in kind.endings:
        shown = ending if SHOWN_ENDING.fullmatch(ending) else "something else"
        raise BadInput(
            "file_kind_wrong",
            f"The name of this file ends with {shown}, but its content is: {kind.words}.",
            f"Give it a name that ends with {kind.endings[0]}, or choose the right file.",
        )
    return kind


def kind_of(file: IO[bytes]) -> Kind | None:
    """The kind of a file by its content; None if it is none of ours."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    found = next((kind for kind, matches in _SIGNATURES.items() if matches(head)), None)
    if found is None and head.startswith(b"PK\x03\x04"):
        found = _office_kind(file)
    if found is None and _is_text(file):
        found = "text"
    return KINDS.get(found or "")


def name_of(given: str | None) -> str:
    """The name of a file without any folder, without what cannot be seen, and of bounded length; its ending stays."""
    name = clean(re.split(r"[/\\]", given or "")[-1]).strip(". ")
    stem, ending = _split(name)
    return f"{stem[: MAX_NAME - len(ending)]}{ending}" or "file"


def title_of(name: str) -> str:
    """A title to begin with: the name without its ending."""
    return _split(name)[0] or name


def download_name(name: str, kind: Kind) -> str:
    """The name under which a file is saved: with an ending that fits its kind."""
    return name if _ending(name) in kind.endings else f"{name}{kind.endings[0]}"


def size_in_words(size: int) -> str:
    """'840 KB', '3.2 MB', '12 bytes'."""
    if size < 1000:
        return f"{size} bytes"
    if size < 1_000_000:
        return f"{round(size / 1000)} KB"
    return f"{size / 1_000_000:.1f} MB"


def _split(name: str) -> tuple[str, str]:
    stem, dot, ending = name.rpartition(".")
    return (stem, dot + ending) if stem and 0 < len(ending) <= 8 and " " not in ending else (name, "")


def _ending(name: str) -> str:
    return _split(name)[1].lower()


def _begins(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(starts)


def _is_riff(form: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(b"RIFF") and head[8:12] == form


def _is_m4a(head: bytes) -> bool:
    """An MP4 file whose brands say audio; without them it may be a video."""
    length = int.from_bytes(head[:4], "big")
    brands = [head[start : start + 4] for start in (8, *range(16, min(length, HEAD_BYTES), 4))]
    return head[4:8] == b"ftyp" and any(each in (b"M4A ", b"M4B ") for each in brands)


def _is_ogg_audio(head: bytes) -> bool:
    return head.startswith(b"OggS") and any(each in head[:64] for each in OGG_AUDIO)


_SIGNATURES: Mapping[str, Callable[[bytes], bool]] = {
    "pdf": _begins(b"%PDF-1.", b"%PDF-2."),
    "png": _begins(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    "jpeg": _begins(b"\xff\xd8\xff"),
    "gif": _begins(b"GIF87a", b"GIF89a"),
    "webp": _is_riff(b"WEBP"),
    "wav": _is_riff(b"WAVE"),
    "m4a": _is_m4a,
    "ogg": _is_ogg_audio,
    "mp3": lambda head: head.startswith(b"ID3") or MP3_FRAME.match(head) is not None,
}


def _office_kind(file: IO[bytes]) -> str | None:
    """The kind of a package of Office Open XML; None for other ZIP files, and for one with macros. Nothing is unpacked,
    and a list of contents that is too long is not read."""
    size = file.seek(0, os.SEEK_END)
    file.seek(-min(size, ZIP_END_BYTES + ZIP_COMMENT_BYTES + ZIP64_END_BYTES), os.SEEK_END)
    tail = file.read()
    end = tail[max(0, tail.rfind(ZIP_END)) :]
    length, comment = int.from_bytes(end[12:16], "little"), int.from_bytes(end[20:22], "little")
    # The last record must end with the file: ZipFile then finds the same one.
    is_clear = end.startswith(ZIP_END) and len(end) == ZIP_END_BYTES + comment
    if not is_clear or ZIP64_END in tail or length > MAX_ZIP_LIST_BYTES:
        return None
    try:
        with ZipFile(file) as package:
            names = set(package.namelist())
    except (BadZipFile, ValueError, NotImplementedError, UnicodeDecodeError):
        return None
    if "[Content_Types].xml" not in names or any(each.lower().endswith("vbaproject.bin") for each in names):
        return None
    found = [kind for part, kind in _PARTS.items() if part in names]
    return found[0] if len(found) == 1 else None


def _is_text(file: IO[bytes]) -> bool:
    """Whether all of it is UTF-8 without control characters, and does not begin like a page."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    is_first = True
    while True:
        chunk = file.read(2**18)
        if is_first and MARKUP.match(chunk.removeprefix(codecs.BOM_UTF8)):
            return False
        try:
            if CONTROLS.search(decoder.decode(chunk, final=not chunk)):
                return False
        except UnicodeDecodeError:
            return False
        if not chunk:
            return True
        is_first = False
