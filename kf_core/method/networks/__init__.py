"""The three networks of the method. They map tensors to tensors and know nothing of files or settings files."""
