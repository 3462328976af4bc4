"""The bundled photos that nobody blurred on purpose, to be looked at. `python -m benchmarks.real --threads 1`

There is no truth to measure by: the sheet in benchmarks/results shows whether a result looks scratched. The search ends
differently with another number of threads, so look at 1 and at 2.
"""

from __future__ import annotations

import argparse
import json

import torch

from benchmarks.kf12 import RESULTS
from kf_core import Settings, read_picture, super_resolve
from kf_core.examples import EXAMPLES, example
from kf_core.files.figure import contact_sheet
from kf_core.files.picture import Picture, write_picture
from kf_core.pixels import bicubic_enlargement


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--photos", nargs="*", default=EXAMPLES)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    rows, sheet = [], []
    print("| photo | confidence | kernel | seconds | of them doubt |\n|---|---|---|---|---|")
    for name in chosen.photos:
        photo = read_picture(example(name)).pixels
        result = super_resolve(photo, Settings.preset("fast"))
        report, seconds = result.report, result.report["seconds"]
        plain = bicubic_enlargement(photo, *result.image.shape[:2])
        sheet.append([photo, plain, result.image, result.kernel])
        rows.append(
            {"photo": name, **{key: report[key] for key in ("confidence", "kernel_source", "seconds", "kernel")}}
        )
        whole, doubt = sum(seconds.values()), seconds["weigh_kernel"]
        print(
            f"| {name} | {report['confidence']:.2f} | {report['kernel_source']} | {whole:.0f} | {doubt:.0f} |",
            flush=True,
        )
    (RESULTS / f"real_{chosen.threads}.json").write_text(json.dumps(rows) + "\n")
    picture = contact_sheet(sheet, ["input", "bicubic", "result", "kernel"], [row["photo"] for row in rows], height=320)
    write_picture(RESULTS / f"real_{chosen.threads}.jpg", Picture(picture))


if __name__ == "__main__":
    main()
