"""Checkpoints of networks: their file format, and finding one in the package, on this computer or on the Hub."""
