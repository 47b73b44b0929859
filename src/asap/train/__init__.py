"""Fine-tuning on reasoning traces (paper §3.4, Eq. 3, Appendix A): the loss of Eq. 3 on whole rows, the same from a laptop to a cluster."""
