"""The lines of `benchmarks/gpu_check.py`."""
