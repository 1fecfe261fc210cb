"""Decodes a sample of rows and measures how they sound and what is heard in them."""
