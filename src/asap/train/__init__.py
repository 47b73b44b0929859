"""Fine-tuning on reasoning traces (paper §3.4, Eq. 3, Appendix A): the right loss, nothing cut, the same from a laptop to a cluster."""
