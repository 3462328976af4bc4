"""The large image, from the photo and a known kernel."""
