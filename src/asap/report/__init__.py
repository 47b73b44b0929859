"""The report on the arms of an experiment: tables, statistics, and a page that opens every generation (paper, Tables 1 to 4, Figure 3)."""
