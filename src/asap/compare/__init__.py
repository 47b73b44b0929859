"""`asap compare`: compares methods at equal token counts, without training a model."""
