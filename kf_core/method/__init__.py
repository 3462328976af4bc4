"""The method as loops on tensors: Algorithm 1 is in recover.py. Knows no files, checkpoints or command line."""
