"""Networks that look at a condition: of images, of texts, of both."""
