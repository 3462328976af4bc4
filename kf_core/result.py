"""What a run returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kf_core.kernel_grid import KernelGrid


@dataclass(frozen=True)
class SuperResolution:
    """What super_resolve and recover_kernel return.

    `report` can be written as JSON. Its entries:

    - `versions`, `settings`, `seed`, `device`: what the result depends on, beside the photo.
    - `input_size`, `output_size`: [width, height] in pixels; `output_size` is None where no image was made.
    - `frame`: [top, bottom, left, right], rows and columns at the edges of the photo that are no part of it, such as a
      scan's border. They were enlarged bicubically.
    - `sharpening`: the share of an unsharp mask that was undone; 0: none.
    - `patch_prior`, `kernel_network`: name, file and hash of the networks that were used.
    - `seconds`, `iterations`: of each stage, by its name.
    - `kernel`: as the attribute, in lists. `kernel_source` is "given", "recovered" (found from the photo) or "simple"
      (a Gaussian, a disc or the like, which the photo supports better). `kernel_name` says what it looks like; "":
      nothing that has a name.
    - `kernel_weight`, `other_kernels`: 0 to 1, how well the photo supports the kernel beside the others, and up to
      three of these. Where settings.doubt is on.
    - `consistency_rms_grey_levels`: root mean square of the difference between the photo and the image, blurred and
      shrunk, in grey levels of 0 to 255; None where no image was made.
    - `confidence`, `share`, `confidence_sentence`: where settings.doubt is on and an image was made, or at scale 1 with
      an unknown kernel. `confidence` is 0 to 1, the cosine that the kernel is expected to have with the true one, less
      where its image is doubted; `share` is 0 to 1, of the result that is the kernel's image (the rest is the bicubic
      enlargement, at scale 1 the photo); the sentence says it to people.
    - `regions`: with settings.varying, how many regions were compared, how unlike their kernels are, a sentence, and
      these kernels, None where one suits all.

    Attributes:
        image: (H s, W s) or (H s, W s, 3), of the dtype given; None where only the kernel was asked for.
        kernel: (K, K) float32 with sum 1, in the orientation of a cross-correlation: the photo is the image, correlated
            with it, at every s-th pixel.
        report: what the run says of itself, see above.
        kernels: what stands in for the one kernel where the blur varies over the photo; None where it does not, or
            where settings.varying did not ask.
    """

    image: np.ndarray | None
    kernel: np.ndarray
    report: dict[str, Any]
    kernels: KernelGrid | None = None
