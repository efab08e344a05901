"""Small files of every kind that a material may be, and of kinds that it may not."""

import io
import zipfile
from collections.abc import Mapping

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(17)
# Ten frames of silence, which a player takes.
MP3 = b"ID3\x04\0\0\0\0\0\0" + 10 * (b"\xff\xfb\x90\x00" + bytes(413))
HTML = b"<!doctype html><script>alert(document.domain)</script>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


def office(*parts: str) -> bytes:
    """A package of Office Open XML with these parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        for name in ("[Content_Types].xml", *parts):
            package.writestr(name, "<x/>")
    return file.getvalue()


def ftyp(*brands: bytes) -> bytes:
    """The beginning of an MP4 file of these brands."""
    body = b"ftyp" + brands[0] + bytes(4) + b"".join(brands)
    return (len(body) + 4).to_bytes(4, "big") + body + bytes(64)


# Name → content and the id of its kind.
TAKEN: Mapping[str, tuple[bytes, str]] = {
    "handout.pdf": (PDF, "pdf"),
    "handout.docx": (office("word/document.xml"), "docx"),
    "slides.PPTX": (office("ppt/presentation.xml"), "pptx"),
    "table.xlsx": (office("xl/workbook.xml"), "xlsx"),
    "picture.png": (PNG, "png"),
    "picture.jpeg": (b"\xff\xd8\xff\xe0" + bytes(20), "jpeg"),
    "picture.gif": (b"GIF89a" + bytes(20), "gif"),
    "picture.webp": (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(8), "webp"),
    "talk.mp3": (MP3, "mp3"),
    "bare.mp3": (b"\xff\xfb\x90\x00" + bytes(400), "mp3"),
    "talk.m4a": (ftyp(b"M4A ", b"isom"), "m4a"),
    "talk.wav": (b"RIFF\x10\0\0\0WAVEfmt " + bytes(8), "wav"),
    "talk.ogg": (b"OggS" + bytes(24) + b"\x01vorbis" + bytes(20), "ogg"),
    "notes.txt": ("Zeit für Fragen: 質問の時間\n".encode(), "text"),
    "notes.md": (b"\xef\xbb\xbf# Notes\r\n", "text"),
}
# Name → content and the code of the refusal.
REFUSED: Mapping[str, tuple[bytes, str]] = {
    "empty.pdf": (b"", "file_empty"),
    "page.html": (HTML, "file_kind_refused"),
    "page.pdf": (HTML, "file_kind_refused"),
    "page.txt": (b"\n \t" + HTML, "file_kind_refused"),
    "drawing.svg": (SVG, "file_kind_refused"),
    "drawing.png": (SVG, "file_kind_refused"),
    "bom.txt": (b"\xef\xbb\xbf" + SVG, "file_kind_refused"),
    "late.txt": (b"a" * 300_000 + b"\0", "file_kind_refused"),
    "cut.txt": ("fü".encode()[:-1], "file_kind_refused"),
    "latin.txt": ("Fragen für später".encode("latin-1"), "file_kind_refused"),
    "program.exe": (b"MZ\x90\0" + bytes(60), "file_kind_refused"),
    "program.pdf": (b"MZ\x90\0" + bytes(60), "file_kind_refused"),
    "macros.pptx": (office("ppt/presentation.xml", "ppt/vbaProject.bin"), "file_kind_refused"),
    "archive.docx": (office("other.xml"), "file_kind_refused"),
    "both.docx": (office("word/document.xml", "ppt/presentation.xml"), "file_kind_refused"),
    "cut.docx": (office("word/document.xml")[:-30], "file_kind_refused"),
    "old.doc": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), "file_kind_refused"),
    "film.mp4": (ftyp(b"isom", b"mp42"), "file_kind_refused"),
    "film.ogg": (b"OggS" + bytes(24) + b"\x80theora" + bytes(20), "file_kind_refused"),
    "late.pdf": (b"<html>" + PDF, "file_kind_refused"),
    "picture.pdf": (PNG, "file_kind_wrong"),
    "handout.txt": (PDF, "file_kind_wrong"),
    "words.pptx": (office("word/document.xml"), "file_kind_wrong"),
    "script.js": (b"alert(1)", "file_kind_wrong"),
    "page.pdf.html": (PDF, "file_kind_wrong"),
}
