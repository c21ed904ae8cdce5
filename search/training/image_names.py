"""Which entries of a data folder are images, judged by their names, and by their first bytes where a name says nothing.

Names that begin with a dot and those that operating systems and editors leave behind are hidden. A file is an image if
it has one of `SUFFIXES`, in any case. If its suffix is neither there nor in `OTHER_SUFFIXES`, or missing, it is an
image if its first bytes are those of one.
"""

from __future__ import annotations

from search.training.decoding import looks_like_image

__all__ = ["OTHER_SUFFIXES", "SUFFIXES", "is_hidden", "is_image"]

_IMAGES = """
.apng .avif .avifs .bmp .dds .dib .gif .ico .j2c .j2k .jfif .jp2 .jpc .jpe .jpeg .jpf .jpg .jpx .mpo .pbm .pcx .pfm .pgm
.png .pnm .ppm .qoi .ras .rgb .rgba .sgi .tga .tif .tiff .webp .xbm .xpm
"""
# Descriptions and archives beside images, camera files of which only the preview could be read, and copies that editors
# and interrupted downloads leave behind: none of them is an image to train on, whatever its first bytes say.
_OTHERS = """
.txt .json .jsonl .xml .csv .tsv .md .rst .html .htm .yaml .yml .toml .ini .log .py .ipynb .sh .js .css .db .sqlite .npy
.npz .pt .pth .pkl .h5 .hdf5 .mat .parquet .zip .tar .gz .bz2 .xz .7z .rar .pdf .doc .docx .xls .xlsx .svg .eps .ps .mp4
.avi .mov .mkv .wav .mp3 .lst .lnk .url .md5 .sha256 .aae .xmp
.cr2 .cr3 .nef .arw .dng .orf .rw2 .pef .srw .raf
.bak .tmp .temp .part .partial .crdownload .download .orig .swp .old
"""
SUFFIXES = frozenset(_IMAGES.split())
OTHER_SUFFIXES = frozenset(_OTHERS.split())
_SYSTEM = frozenset(
    (
        "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "#recycle", "#snapshot", "@recycle",
        "@recently-snapshot", "$recycle.bin", "system volume information", "lost+found", "__pycache__",
    )
)  # fmt: skip


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name belongs to the system or an editor, and not to the user's data."""
    return name.startswith(".") or name.endswith("~") or name.casefold() in _SYSTEM


def is_image(path: str) -> bool:
    """Whether the file is an image; opened only if its suffix says nothing."""
    stem, dot, ending = path.rpartition("/")[2].rpartition(".")
    suffix = f".{ending.lower()}" if dot and stem else ""
    if suffix in SUFFIXES:
        return True
    return suffix not in OTHER_SUFFIXES and looks_like_image(path)
