"""What can be measured of a row, a subject a file."""
