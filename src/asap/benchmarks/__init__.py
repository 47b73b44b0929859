"""The benchmarks: problems with their checks, loaded from official files."""
