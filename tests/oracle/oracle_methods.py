"""Methods of one's own for tests: what a step claims decides, or it is read off the program."""

from experiments.oracle.derive import Reading, claim_of, derived

from asap import Steps


def claims_something(steps: Steps) -> list[float]:
    """1 for a step that claims a value."""
    return [float(claim_of(text) is not None) for text in steps.texts]


def all_knowing(steps: Steps) -> list[float]:
    """1 for a step without which the rest no longer derives the answer, when later copies are gone: the label, found anew."""
    reading = Reading.of(steps.sample.question.partition("```python\n")[2].removesuffix("\n```"))
    left = list(enumerate(steps.texts))
    for place, text in reversed(list(enumerate(steps.texts))):
        without = [one for one in left if one != (place, text)]
        left = without if derived(reading, [text for _, text in without]) is not None else left
    places = {place for place, _ in left}
    return [float(place in places) for place in range(len(steps.texts))]
