"""How often `asap certify` certifies: at the margin that is a false certificate, without a difference it is the power.

    python benchmarks/certify.py [--draws 1500]

Problems have beta-distributed chances, and every training of an arm moves all of them by a normal amount. With one training an arm the
claim "of this data" is never made; its rate here shows why.
"""

import argparse

import numpy as np
from numpy.typing import NDArray

from asap.evaluate.certify import ONE_SIDED, both_errors, trainings_error
from asap.intervals import mean_difference, student_quantile

MARGIN = 0.03


def certifies(full: NDArray[np.float64], pruned: NDArray[np.float64]) -> bool:
    """Whether the shares of arms (trainings by problems) are certified at the margin."""
    by_problem = mean_difference(list(pruned.mean(axis=0) - full.mean(axis=0)))
    means = np.concatenate([full.mean(axis=1), pruned.mean(axis=1)])
    found = both_errors(by_problem, *trainings_error(means, len(full)))
    return found.mean - student_quantile(1 - ONE_SIDED, found.freedom) * found.standard_error > -MARGIN


def rate(random: np.random.Generator, problems: int, trainings: int, spread: float, difference: float, draws: int) -> float:
    """The share of draws that are certified, where trainings of one arm differ by a standard deviation of `spread`."""
    found = 0
    for _ in range(draws):
        chances = 0.15 + 0.7 * random.beta(1.2, 1.0, problems)
        moved = random.normal(0, spread, (2, trainings, 1))
        full = random.random((trainings, problems)) < chances + moved[0]
        pruned = random.random((trainings, problems)) < chances + random.normal(0, 0.1, problems) + difference + moved[1]
        found += certifies(full.astype(float), pruned.astype(float))
    return found / draws


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1500)
    draws, random = parser.parse_args().draws, np.random.default_rng(0)
    print("| trainings differ by | n | trainings an arm | false certificates | power without a difference |\n|---|---:|---:|---:|---:|")
    for spread in (0.005, 0.01, 0.02):
        for problems in (164, 500, 1319):
            for trainings in (1, 2, 3, 5):
                false = rate(random, problems, trainings, spread, -MARGIN, draws)
                power = rate(random, problems, trainings, spread, 0.0, draws // 4)
                print(f"| {100 * spread:g} points | {problems} | {trainings} | {false:.3f} | {power:.2f} |", flush=True)


if __name__ == "__main__":
    main()
