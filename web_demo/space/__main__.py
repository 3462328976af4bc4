"""Makes the folder that is pushed to a Hugging Face Space: python web_demo/space FOLDER"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LEFT_OUT = ("__pycache__", "*.pyc", "*.pyi", ".gitignore", "space")


def make(folder: Path) -> None:
    """Writes everything the page needs into `folder`. What an earlier call left there is removed.

    Raises ValueError if the folder is there and was not made by this.
    """
    if folder.exists():
        if not (folder / "app.py").exists() and any(folder.iterdir()):
            raise ValueError(f"{folder} is there and is no Space")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for name in ("kf_core", "web_demo"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for file in (ROOT / "app.py", ROOT / "LICENSE", HERE / "README.md", HERE / "requirements.txt"):
        shutil.copy(file, folder / file.name)


if __name__ == "__main__":
    made = Path(sys.argv[1])
    make(made)
    files = [path for path in made.rglob("*") if path.is_file()]
    print(f"{made}: {len(files)} files, {sum(path.stat().st_size for path in files) / 2**20:.1f} MB")
