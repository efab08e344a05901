"""Style sheet, scripts and icons: one folder whose address holds the digest of its contents.

A browser may keep such a file for ever, because a changed file has another address. All files share one digest, so that
a script may import its neighbour by a relative address. They are compressed once, when the application starts.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Flask, Response, abort
from flask import request as http_request

from lti_tool.web.session import access

FOLDER = Path(__file__).parents[1] / "static"
# The digest in an address names the contents, so they never change; a year is the longest that browsers honour.
FOREVER = "public, max-age=31536000, immutable"
# A page below this size fits into one packet anyway.
SMALLEST_COMPRESSED = 1024
# Level 6 costs twice the time of level 4 and saves 3 % more of a page.
COMPRESSION_LEVEL = 4

blueprint = Blueprint("assets", __name__)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is and compressed."""

    mimetype: str
    plain: bytes
    compressed: bytes


def _read_folder() -> dict[str, Asset]:
    found = {}
    for path in sorted(FOLDER.iterdir()):
        plain = path.read_bytes()
        mimetype = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        found[path.name] = Asset(mimetype, plain, gzip.compress(plain, mtime=0))
    return found


ASSETS = _read_folder()
DIGEST = hashlib.sha256(b"".join(each.plain for each in ASSETS.values())).hexdigest()[:16]


def asset(name: str) -> str:
    """The address of a file of `static/`."""
    assert name in ASSETS, name
    return f"/static/{DIGEST}/{name}"


@blueprint.get("/static/<digest>/<name>")
@access("public")
def static_file(digest: str, name: str) -> Response:
    """A file of `static/`. Under another digest, which an older page of a server just updated may ask for, the file of
    now, not to be kept."""
    found = ASSETS.get(name)
    if found is None:
        abort(404)
    is_compressed = _takes_gzip()
    response = Response(found.compressed if is_compressed else found.plain, mimetype=found.mimetype)
    response.headers["Cache-Control"] = FOREVER if digest == DIGEST else "no-cache"
    response.headers["Vary"] = "Accept-Encoding"
    if is_compressed:
        response.headers["Content-Encoding"] = "gzip"
    return response


def _takes_gzip() -> bool:
    return http_request.accept_encodings.quality("gzip") > 0


def register(app: Flask) -> None:
    """Serve the files of `static/`, let templates write `asset("gatehouse.css")`, and compress every page.

    A compressed page is safe to combine with what a visitor sends, because the CSRF token on it is masked anew for each
    request (web/session.py).
    """
    app.register_blueprint(blueprint)
    app.jinja_env.globals["asset"] = asset

    @app.after_request
    def compress_page(response: Response) -> Response:
        if response.mimetype != "text/html" or not _takes_gzip():
            return response
        page = response.get_data()
        if len(page) >= SMALLEST_COMPRESSED:
            response.set_data(gzip.compress(page, COMPRESSION_LEVEL, mtime=0))
            response.headers["Content-Encoding"] = "gzip"
            response.headers["Vary"] = "Accept-Encoding"
        return response
