"""Makes the folder that is pushed to a Hugging Face Space: python web_demo/space FOLDER"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from kf_core.checkpoints.sources import on_hub, published  # noqa: E402 - after the path
from web_demo.space.check import check  # noqa: E402

LEFT_OUT = ("__pycache__", "*.pyc", "*.pyi", ".gitignore", "space")


def make(folder: Path) -> None:
    """Writes everything the page needs into `folder`. What an earlier call left there is removed.

    Raises ValueError if the folder is there and was not made by this, or if the Hub would refuse what is to be written.
    """
    if folder.exists():
        if not (folder / "app.py").exists() and any(folder.iterdir()):
            raise ValueError(f"{folder} is there and is no Space")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for name in ("kf_core", "web_demo"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for file in (ROOT / "app.py", ROOT / "LICENSE", HERE / "requirements.txt"):
        shutil.copy(file, folder / file.name)
    matter, text = (HERE / "README.md").read_text(encoding="utf-8").split("\n---\n", 1)
    readme = f"{matter}{preload(published())}\n---\n{text}"
    check(readme, (HERE / "requirements.txt").read_text(encoding="utf-8"))
    (folder / "README.md").write_text(readme, encoding="utf-8")


def preload(published: str) -> str:
    """The lines of the front matter by which a Space fetches the published checkpoint when it is built.

    Empty for "": the bundled prior travels with the folder. Raises BadPrior for what is no OWNER/NAME@COMMIT.
    """
    if not published:
        return ""
    wanted = on_hub(published)
    return f"\nmodels:\n  - {wanted.repo}\npreload_from_hub:\n  - {wanted.repo} {wanted.file} {wanted.revision}"


if __name__ == "__main__":
    made = Path(sys.argv[1])
    make(made)
    files = [path for path in made.rglob("*") if path.is_file()]
    print(f"{made}: {len(files)} files, {sum(path.stat().st_size for path in files) / 2**20:.1f} MB")
