"""How a sharp image becomes the photo: grids, the blur A and its adjoint, the data step, kernels as arrays of taps."""
