"""What an output folder remembers, in SQLite files: values under keys made from their content, and the work of a run."""
