"""Whether a text ends in a loop, as models do that repeat the same words until their tokens run out."""

_TAIL = 6000
_LEAST = 240  # characters of repetition
_ROUNDS = 4


def looping(text: str) -> bool:
    """Whether the end of a text is a stretch of at least 240 characters that repeats a piece of it four times or more."""
    tail = text.rstrip()[-_TAIL:][::-1]
    if len(set(tail[:_LEAST])) < 2:
        return len(tail) >= _LEAST
    borders = [0] * len(tail)  # of each prefix, the longest proper one that is also its suffix (Knuth, Morris, Pratt)
    for end in range(1, len(tail)):
        border = borders[end - 1]
        while border and tail[end] != tail[border]:
            border = borders[border - 1]
        borders[end] = border + (tail[end] == tail[border])
        length = end + 1
        if length >= _LEAST and length >= _ROUNDS * (length - borders[end]):
            return True
    return False
