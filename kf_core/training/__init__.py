"""Training the kernel estimator: random kernels, photographs shrunk with them, and the loop."""
