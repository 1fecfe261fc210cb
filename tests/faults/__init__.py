"""Faults of the disk and deaths of the process, injected at every system call of small runs."""
