"""The longer words of the page."""

HEAD = """# KernelFusion
Something blurred your photo before it was shrunk: a lens, a sensor, an app. Drop a small photo in and get back both:
**the large, sharp photo** and **the blur itself**, called the *kernel*. The kernel is read from your one photo; how
photos and kernels look in general was learned from others."""

ABOUT = """Most enlargers assume one and the same blur for all photos; where that guess is wrong, so is the picture.
KernelFusion looks for the kernel under which small and large details of *this* photo fit together, and then undoes it.
[The paper](https://arxiv.org/abs/2503.21907) is by Heinimann, Shocher, Zimbalist and Irani (ICLR 2026); this is an
independent implementation.

**What it knows beforehand:** a small network, the *prior*, has seen parts of other photographs and knows how they
look. Another has seen photographs blurred by many kernels, and learned to read the kernel from what it leaves. If
a simple blur explains your photo better than the kernel so found, the simple one is taken, and the page says so.

**Your photo** is worked on here and never shown to others. Its files are deleted after an hour at most, and when the
page is shut down. EXIF data, such as where it was taken, does not reach the result.

**Limits of this page:** files of up to {megabytes} MB and {megapixels} megapixels; up to {side} x {side} pixels
({pixels} in all) are worked on at a time, of a larger photo the part that you choose. One job at a time for every open
page.

**Limits of the method:** one kernel is sought for the whole photo, or with *Blur varies over the photo* one for each
part of it; a subject sharp before a blurred background has more than one in the same part. Noise and the blocks of
strong JPEG compression are measured and allowed for, within limits: very noisy photos stay close to their plain
enlargement. The confidence says how right the kernel probably is.

**For programs:** the link *Use via API* below lists every button as an endpoint, for `gradio_client` and for MCP."""

FOOL = (
    "Take a **sharp** photo, and choose or draw a kernel. The photo is blurred with it and shrunk four times. "
    "KernelFusion sees only what is left, is not told the kernel, and has to recover both."
)

PAD = (
    "The recovered kernel is on the sheet after a run; change it, or draw another. The part of your photo that says "
    "most about the kernel follows in seconds."
)
