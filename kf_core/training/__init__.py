"""Training of networks from folders of photographs, resumable, and what is measured on them."""
