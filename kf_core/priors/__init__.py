"""Priors: the file format of checkpoints, finding one by name, and training one."""
