"""What else there is: other ways from a small photo to a large one, by one interface. `python -m benchmarks.rivals`"""
