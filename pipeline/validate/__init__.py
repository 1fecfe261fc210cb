"""Would a LLASA trained on this dataset speak well? Integrity, statistics, round trip, verdict and report."""
