"""Publishes a dataset on the Hugging Face Hub."""
