"""Files of a run that may be fetched: results, never the machinery; found by looking, so no name leads outside."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from fastapi import Request
from starlette.responses import FileResponse, Response

from search.service.home import Home
from search.service.problems import Problem

__all__ = ["SANDBOX", "files", "named", "send_file", "send_json", "send_page"]

KINDS = {
    ".json": "application/json", ".jsonl": "text/plain", ".csv": "text/csv", ".parquet": "application/octet-stream",
    ".html": "text/html", ".png": "image/png", ".svg": "image/svg+xml", ".pdf": "application/pdf",
    ".toml": "text/plain", ".md": "text/plain", ".tex": "text/plain", ".txt": "text/plain",
    ".pt": "application/octet-stream", ".pt2": "application/octet-stream", ".pth": "application/octet-stream",
    ".onnx": "application/octet-stream", ".data": "application/octet-stream",
    ".safetensors": "application/octet-stream",
}  # fmt: skip
MACHINERY = frozenset({"ray", "checkpoints", "weights", "sampler.json"})
DEPTH = 3
SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
)
"""For a page that a run has written: it may draw itself, and reach neither this service nor anything else."""


def files(home: Home) -> dict[str, Path]:
    """Path by name, relative to the run's folder, in order of name."""
    return {path.relative_to(home.run.path).as_posix(): path for path in sorted(_walk(home.run.path, DEPTH))}


def _walk(folder: Path, depth: int) -> Iterable[Path]:
    try:
        inside = list(folder.iterdir())
    except OSError:
        return
    for path in inside:
        if path.name.startswith(".") or path.name in MACHINERY or path.is_symlink() or not _is_text(path.name):
            continue
        if path.is_dir() and depth > 1:
            yield from _walk(path, depth - 1)
        elif path.suffix in KINDS and path.is_file():
            yield path


def _is_text(name: str) -> bool:
    """Whether an address can hold a name: its bytes are UTF-8, and none of them moves a cursor."""
    return name.isprintable()


def named(home: Home, *names: str) -> Path:
    """The first of these files that is there.

    Raises:
        Problem: none is.
    """
    known = files(home)
    for name in names:
        if name in known:
            return known[name]
    raise Problem(404, f"the run has no file {names[0][:80]!r}")


def send_file(request: Request, path: Path) -> Response:
    """A file, or 304 where the caller has it already.

    Raises:
        Problem: it has gone meanwhile.
    """
    try:
        status = path.stat()
    except OSError:
        raise Problem(404, f"{path.name} no longer exists") from None
    etag = _etag(f"{path.name} {status.st_mtime_ns} {status.st_size} {status.st_ino}".encode())
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if _matches(request, etag):
        return Response(status_code=304, headers=headers)
    if path.suffix in (".html", ".svg"):
        headers["Content-Security-Policy"] = SANDBOX
    if request.state.method == "HEAD":  # which FileResponse would read through
        return Response(headers={**headers, "Content-Length": str(status.st_size)}, media_type=KINDS[path.suffix])
    return FileResponse(path, media_type=KINDS[path.suffix], headers=headers, stat_result=status)


def send_json(request: Request, body: str) -> Response:
    """JSON that is already text, or 304 where the caller has it already."""
    return _send(request, body, "application/json")


def send_page(request: Request, body: str) -> Response:
    """A page that was made from what a run says, in its sandbox, or 304."""
    return _send(request, body, "text/html", **{"Content-Security-Policy": SANDBOX})


def _send(request: Request, body: str, media_type: str, **headers: str) -> Response:
    content = body.encode(errors="replace")
    etag = _etag(content)
    headers = {**headers, "ETag": etag, "Cache-Control": "no-cache"}
    if _matches(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=media_type)


def _etag(content: bytes) -> str:
    return f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'


def _matches(request: Request, etag: str) -> bool:
    given = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    return etag in given or "*" in given
