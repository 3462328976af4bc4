"""Estimating the kernel from the photo by a trained network."""
