"""The report: one HTML page with figures, pictures and sound."""
