"""Files: pictures, kernels, reports and sheets, read with a clear word and written atomically."""
