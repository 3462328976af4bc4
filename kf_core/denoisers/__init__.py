"""What takes noise off an image: the patch diffusion network (PD), its noise schedule and its training."""
