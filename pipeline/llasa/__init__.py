"""LLASA inference: prompts, generation, streaming audio."""
