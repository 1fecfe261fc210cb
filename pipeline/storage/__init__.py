"""Files and folders, here or in an object store: paths, atomic writes and locks."""
