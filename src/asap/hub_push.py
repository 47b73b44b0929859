"""Publishing on the Hugging Face Hub: the files of a parcel in one commit, which appears whole or not at all.

The token is the Hub's own (HF_TOKEN, or `hf auth login`); it is neither stored nor printed. A push that broke off is repeated: large files
that arrived are not sent again. What this does not do: change who may read a repository, or overwrite what others changed in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from traceback import format_exception
from typing import Any, NamedTuple

from asap.errors import AsapError, InputError, UsageError, one_line
from asap.publish import OURS, Parcel

_TITLE = "asap push"
_TIMEOUT_S, _CONNECT_S = 300.0, 15.0
_ALWAYS = {".gitattributes"}


class Pushed(NamedTuple):
    """A repository after a push."""

    url: str
    private: bool
    commit: str
    removed: tuple[str, ...]


def push_parcel(parcel: Parcel, repo: str, *, public: bool, replace: bool) -> Pushed:
    """Put a parcel into a data set repository, which is made if there is none. Raises UsageError or InputError, in one sentence."""
    from httpx2 import Timeout
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_session, get_token

    token = get_token()
    if token is None:
        raise UsageError("nobody is logged in on the Hub; set HF_TOKEN to a token that may write, or log in with: hf auth login")
    get_session().timeout = Timeout(_TIMEOUT_S, connect=_CONNECT_S)  # the library itself waits for ever
    api = HfApi()
    with _told(repo, token):
        info = _repository(api, repo, public=public)
        there = {one.rfilename for one in info.siblings or ()} - _ALWAYS
        if there and not replace:
            _refuse_changed(api, repo)
        removed = tuple(sorted((there & OURS) - {piece.name for piece in parcel.pieces}))
        operations: list[Any] = [CommitOperationAdd(piece.name, piece.content) for piece in parcel.pieces]
        operations += [CommitOperationDelete(name) for name in removed]
        commit = api.create_commit(
            repo, operations, commit_message=f"{_TITLE}: {len(parcel.pieces)} files", repo_type="dataset", parent_commit=info.sha
        )
    return Pushed(f"{api.endpoint}/datasets/{repo}", bool(info.private), commit.oid, removed)


def _repository(api: Any, repo: str, *, public: bool) -> Any:
    """The repository as it is now, made if it is not there."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.dataset_info(repo, timeout=_CONNECT_S)
    except RepositoryNotFoundError as error:
        if error.response.status_code == 401:  # the Hub says so of a wrong token as well
            raise InputError(f"{repo}: the Hub does not know this token; check HF_TOKEN, or log in with: hf auth login") from error
        api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=False)
        return api.dataset_info(repo, timeout=_CONNECT_S)
    if not info.private and not public:
        raise UsageError(f"{repo} is public on the Hub: everybody could read what is pushed; add --public if that is meant")
    return info


def _refuse_changed(api: Any, repo: str) -> None:
    """Raise InputError unless the last commit of a repository is one of ours."""
    last = api.list_repo_commits(repo, repo_type="dataset")[0]
    if not last.title.startswith(_TITLE):
        raise InputError(
            f"{repo} was changed on the Hub and not by asap push (last: {one_line(ValueError(last.title))[:80]!r}, commit "
            f"{last.commit_id[:8]}); look at it, then push with --replace to write over the files that have our names"
        )


@contextmanager
def _told(repo: str, token: str) -> Iterator[None]:
    """Tell what goes wrong on the way to the Hub in one sentence, without the token, not even in a traceback that quotes the Hub."""
    try:
        with _explained(repo, token):
            yield
    except AsapError as error:
        if token in "".join(format_exception(error)):
            error.__cause__, error.__suppress_context__ = None, True
        raise


@contextmanager
def _explained(repo: str, token: str) -> Iterator[None]:
    """Turns what goes wrong into an error of ours."""
    from httpx2 import TimeoutException
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except (UsageError, InputError):
        raise
    except HFValidationError as error:
        raise UsageError(f"{repo!r} is no name of a repository on the Hub: {one_line(error)}") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise InputError(f"{repo}: {_SENTENCES.get(status, _other(status))} ({_shown(error, token)})") from error
    except TimeoutException as error:
        raise InputError(f"{repo}: the Hub did not answer in time; {_AGAIN}") from error
    except Exception as error:  # border: the client raises errors of its HTTP library, and ValueError for a card that is refused
        raise InputError(f"{repo}: nothing was published ({_shown(error, token)}); {_AGAIN}") from error


_AGAIN = "push again: files that arrived are not sent twice"
_SENTENCES = {
    401: "the Hub does not know this token; check HF_TOKEN, or log in with: hf auth login",
    403: "this token may not write there; use one with write access to that owner's repositories",
    409: "the Hub has such a repository already, which this token may not see, or it is being changed; choose another name or wait",
    412: "somebody changed the repository during the push, so nothing was published; look at it and push again",
    413: "a file is larger than the Hub takes",
    429: "the Hub asks to wait; push again later",
}


def _other(status: int) -> str:
    return f"the Hub failed, status {status}; {_AGAIN}" if status >= 500 else f"the Hub refused, status {status}"


def _shown(error: Exception, token: str) -> str:
    cause = error.__cause__ or error.__context__
    text = one_line(error) + (f": {one_line(cause)}" if isinstance(cause, Exception) and isinstance(error, RuntimeError) else "")
    return text.replace(token, "…")[:300]
