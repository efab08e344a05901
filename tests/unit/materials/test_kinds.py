"""What a file is, by its content; what it is called, without tricks."""

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_tool.errors import BadInput
from lti_tool.materials import kinds
from tests.sample_files import PDF, REFUSED, TAKEN


@pytest.mark.parametrize("name", TAKEN)
def test_a_file_is_known_by_its_content(name: str) -> None:
    content, kind = TAKEN[name]
    assert kinds.verify_file(io.BytesIO(content), name).id == kind
    assert kinds.verify_file(io.BytesIO(content), "no ending").id == kind


@pytest.mark.parametrize("name", REFUSED)
def test_what_lies_about_itself_or_is_no_material_is_refused(name: str) -> None:
    content, code = REFUSED[name]
    with pytest.raises(BadInput) as refused:
        kinds.verify_file(io.BytesIO(content), name)
    assert refused.value.code == code
    assert refused.value.next_step


def test_a_file_may_have_50_mb_and_not_a_byte_more() -> None:
    largest = PDF + bytes(kinds.MAX_FILE_BYTES - len(PDF))
    assert kinds.verify_file(io.BytesIO(largest), "a.pdf").id == "pdf"
    with pytest.raises(BadInput) as refused:
        kinds.verify_file(io.BytesIO(largest + b"\n"), "a.pdf")
    assert (refused.value.code, refused.value.status) == ("file_too_large", 413)


def test_a_package_with_an_endless_list_of_contents_is_not_read() -> None:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as written:
        for number in range(12_000):
            written.writestr(f"{number:0>60}", "")
        written.writestr("[Content_Types].xml", "")
        written.writestr("word/document.xml", "")
    assert kinds.kind_of(package) is None


def test_a_package_that_lies_about_its_list_of_contents_is_refused() -> None:
    good = TAKEN["handout.docx"][0]
    at = good.rfind(kinds.ZIP_END)
    for size in (0, 7, 2**31):
        lying = good[: at + 12] + struct.pack("<I", size) + good[at + 16 :]
        assert kinds.kind_of(io.BytesIO(lying)) is None


def test_the_end_that_is_checked_is_the_end_that_is_read() -> None:
    """The list of contents is too long; a second end, inside the record that ZipFile reads first, says it is short."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as written:
        written.writestr("[Content_Types].xml", "")
        written.writestr("word/document.xml", "")
        for number in range(12_000):
            written.writestr(f"{number:0>60}", "")
    content = package.getvalue()
    at = content.rfind(kinds.ZIP_END)
    fields = struct.unpack("<4s4H2LH", content[at:])
    for field in (1, 3):  # the number of this disk, the entries on it: ZipFile asks neither
        lying = [*fields]
        lying[field : field + 2] = struct.unpack("<2H", kinds.ZIP_END)
        file = io.BytesIO(content[:at] + struct.pack("<4s4H2LH", *lying))
        assert "word/document.xml" in zipfile.ZipFile(file).namelist()
        assert kinds.kind_of(file) is None


def test_a_package_may_have_a_comment_up_to_its_end_and_nothing_after_it() -> None:
    package = io.BytesIO(TAKEN["handout.docx"][0])
    with zipfile.ZipFile(package, "a") as written:
        written.comment = b"a comment" * 7000
    assert kinds.kind_of(package) == kinds.KINDS["docx"]
    assert kinds.kind_of(io.BytesIO(package.getvalue() + b"more")) is None


@given(st.binary(max_size=600), st.sampled_from([b"", b"PK\x03\x04", b"RIFF", b"OggS", b"%PDF-1.", PDF]))
def test_no_content_breaks_the_check(content: bytes, start: bytes) -> None:
    kinds.kind_of(io.BytesIO(start + content))


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("../../etc/passwd.pdf", "passwd.pdf"),
        (r"C:\Users\me\slides.pptx", "slides.pptx"),
        ("..", "file"),
        ("", "file"),
        (None, "file"),
        (".htaccess", "htaccess"),
        ("a\r\nSet-Cookie: x.pdf", "a Set-Cookie: x.pdf"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("nul\0byte.pdf", "nulbyte.pdf"),
        ("日本語 資料.pdf", "日本語 資料.pdf"),
        ("a" * 500 + ".pdf", "a" * 196 + ".pdf"),
    ],
)
def test_a_name_keeps_no_folder_and_nothing_that_cannot_be_seen(given_name: str | None, kept: str) -> None:
    assert kinds.name_of(given_name) == kept


def test_a_file_is_saved_with_an_ending_that_fits() -> None:
    assert kinds.download_name("slides", kinds.KINDS["pptx"]) == "slides.pptx"
    assert kinds.download_name("photo.JPEG", kinds.KINDS["jpeg"]) == "photo.JPEG"
    assert kinds.title_of("Day 1. Set and setting.pdf") == "Day 1. Set and setting"


@pytest.mark.parametrize(("size", "words"), [(12, "12 bytes"), (840_400, "840 KB"), (3_240_000, "3.2 MB")])
def test_sizes_are_told_in_few_digits(size: int, words: str) -> None:
    assert kinds.size_in_words(size) == words
