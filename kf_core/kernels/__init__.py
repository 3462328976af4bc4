"""Where a kernel comes from: one estimator a file, and one choice among them in pipeline.py."""
