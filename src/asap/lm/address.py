"""The address of a server, and the key to send it."""

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

from asap.errors import UsageError
from asap.lm.generate import EndpointError

OPENAI_URL = "https://api.openai.com/v1"
_NO_KEY = "none"  # servers without keys want the header all the same


def server_url(base_url: str | None) -> str:
    """The address to use: the given one, else OPENAI_BASE_URL, else OpenAI's own."""
    return base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL


def host_of(url: str) -> str:
    """Host and port of an address, without credentials. Raises UsageError for anything else."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname is not None and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        shown = url.rpartition("@")[2].partition("?")[0]
        raise UsageError(f"the server's address {shown!r} is not usable; write it like http://127.0.0.1:8000/v1")
    return parts.netloc.rpartition("@")[2]


def is_local(url: str) -> bool:
    """Whether an address is on this machine."""
    name = urlsplit(url).hostname or ""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def sent_key(key: str, url: str) -> str:
    """The key as it is sent; servers other than OpenAI's may do without. Raises EndpointError for one that cannot be sent."""
    if not key and url == OPENAI_URL:
        raise EndpointError("asking OpenAI needs a key; put it into the environment variable OPENAI_API_KEY")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise EndpointError("the environment variable OPENAI_API_KEY holds characters that no key has; copy the key again")
    return key or _NO_KEY
