"""Text, drawings and screenshots told from photographs. Not in the paper."""

from __future__ import annotations

import torch.nn.functional as F

from kf_core.photo import Photo
from kf_core.physics.grid import cut, informative_crop
from kf_core.trust.even_areas import OF_PAGES, colour_differences, flat_block_noise
from kf_core.trust.fitted import FITTED

# Chosen on pages drawn with a font and on 500 crops of photographs, with and without noise, see docs/results.md. In
# units of the range from -1 to 1, of all colours, and in standard deviations of the noise where there is any.
BIN, BIN_OF_NOISE = 0.06, 1.0
ALIKE, ALIKE_OF_NOISE = 0.08, 2.0
MOST_NOISE = 16 / 127.5
EDGE, NEAR = 0.6, 3  # a difference within three pixels, and how near to one the paper must be, in LR pixels
PAPER = 0.2  # least share of pixels that have the paper's colour and an edge nearby: between letters, not a sky


def looks_drawn(photo: Photo) -> bool:
    """Whether a photo is a page, a drawing or a screenshot, by its most telling part: one even colour between edges."""
    return paper_share(photo) > PAPER


def paper_share(photo: Photo) -> float:
    """The share of pixels near edges that have the commonest colour, less the share of those that nearly have: the
    colours of a photograph have no gap around them."""
    lr = cut(photo.pixels, informative_crop(photo.pixels, FITTED.noise_crop))
    noise = min(flat_block_noise(colour_differences(lr)[0], OF_PAGES) / 127.5, MOST_NOISE)
    step, alike = BIN + BIN_OF_NOISE * noise, ALIKE + ALIKE_OF_NOISE * noise
    bins = ((lr[0] + 2) / step).long().clamp(0, round(4 / step))
    codes = (bins[0] * 1000 + bins[1]) * 1000 + bins[2]
    values, counts = codes.unique(return_counts=True)
    paper = lr[0][:, codes == values[counts.argmax()]].mean(1)[:, None, None]
    distance = (lr[0] - paper).abs().amax(0)
    grey = F.pad(lr.mean(1, keepdim=True), (1,) * 4, mode="replicate")
    steep = F.max_pool2d(grey, 3, 1) + F.max_pool2d(-grey, 3, 1) > EDGE
    near = F.max_pool2d(steep.float(), 2 * NEAR + 1, 1, NEAR)[0, 0] > 0
    same, nearly = distance < alike, (distance >= alike) & (distance < 2 * alike)
    return float((near & same).float().mean() - (near & nearly).float().mean())
