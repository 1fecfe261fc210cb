"""Models that hear: whether someone speaks, what is said, in which language, and by whom."""
