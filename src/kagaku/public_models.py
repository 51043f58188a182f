"""Where public models lie: a folder of transformers' or timm's format, or the hub's local cache."""

import re
from pathlib import Path

from kagaku.errors import InputError
from kagaku.models.public.weights import is_public

_HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")


def public_folder(name: str | None) -> Path | None:
    """Return the folder of a public model; None if the name is not one of these.

    Nothing is downloaded: a hub id such as ``"facebook/esm2_t6_8M_UR50D"`` is looked up among what
    Hugging Face's own tools have put into this machine's cache.

    Args:
        name: A folder, or a hub id.

    Raises:
        InputError: It has the form of a hub id, and is neither a folder nor in the cache.
    """
    if name is None:
        return None
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder if is_public(folder) else None
    return _from_cache(name) if _HUB_NAME.match(name) and not folder.parent.is_dir() else None


def _from_cache(name: str) -> Path:
    from huggingface_hub import snapshot_download  # here, since most bases are not of the hub
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        raise InputError(
            f"there is no folder {name!r}, and no model of that id in this machine's Hugging Face "
            "cache",
            fix=f"Where there is a network, run: hf download {name}. Or name a folder.",
        ) from None
