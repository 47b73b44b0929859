"""The SQLite files of an output folder: values under keys derived from their content, and the work of a run."""
