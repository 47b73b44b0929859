"""A Sample becomes a shorter Sample: one file per part of the method, named after the paper's part."""
