"""Models on the hub of Hugging Face: fetched without any code, and put there in one commit."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gangen.errors import GangenError, RunError, UsageError
from gangen.failures import summary

# What a model is made of, as patterns of names. Nothing else is fetched: no code, no pickles.
FILES = ("*.json", "*.safetensors", "*.txt", "README.md")
# What a card shows, and code of the model's own for whoever wants to read it; put there, and fetched by nobody.
BESIDE = ("samples*", "code/*.py")
# Seconds that a hub has to answer; the library itself asks six times, for half a minute.
PATIENCE = 5
_PART = r"[A-Za-z0-9][\w.-]{0,95}"


def is_hub_name(text: str) -> bool:
    """Whether ``text`` may be the name of a model on the hub, user/name: nothing is there of this path, nor its folder.

    A model runs/dgits is one of the hub only where there is no folder runs/, or typing errors would be looked up there.
    """
    return bool(re.fullmatch(f"{_PART}/{_PART}", text, re.ASCII)) and not Path(text).parent.exists()


def fetch(name: str) -> Path:
    """The folder of the model called ``name``, fetched where it is not here yet, or is another by now.

    Where the hub does not answer within 5 seconds, it is what was fetched before.

    Raises RunError where there is no such model, or the one of this name is not of gangen.
    """
    from huggingface_hub import hf_hub_download, snapshot_download

    with _explaining(name):
        alone = not answers()
        # Of a model of another kind nothing is fetched: it may be of any size.
        about = hf_hub_download(name, "gangen.json", local_files_only=alone)
        revision = Path(about).parent.name
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES), local_files_only=alone))


def upload(folder: Path, name: str, *, private: bool = False) -> None:
    """Put the files of a model's ``folder`` on the hub in one commit, in the place of those that are there.

    Raises:
        UsageError: ``name`` cannot be one, is that of something else, or is public where ``private`` is asked for.
        RunError: nobody is logged in, who is may not, or the hub does not answer.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import RepositoryNotFoundError

    refuse_name(name)
    if get_token() is None:
        raise RunError("nobody is logged in to the hub\nlog in by: hf auth login; or set HF_TOKEN")
    if not answers():
        raise RunError(
            f"the hub does not answer: nothing was published\n{_endpoint()} was asked for {PATIENCE} seconds"
        )
    hub = HfApi()
    with _explaining(name):
        try:
            there = hub.model_info(name)
        except RepositoryNotFoundError:
            there = None
            hub.create_repo(name, private=private)
        files = {it.rfilename for it in there.siblings or ()} - {".gitattributes", "README.md"} if there else set()
        if files and "gangen.json" not in files:
            raise UsageError(f"{name} on the hub is no model of gangen, and would be overwritten: take another name")
        if there and private and not there.private:
            raise UsageError(
                f"{name} is there already, and public\nmake it private at {address_of(name)}/settings, or take "
                "another name"
            )
        hub.upload_folder(
            repo_id=name,
            folder_path=folder,
            commit_message="A model of gangen",
            allow_patterns=[*FILES, *BESIDE],
            delete_patterns=[*FILES, *BESIDE],
        )


def refuse_name(name: str) -> None:
    """Raises UsageError for what cannot be the name of a model on the hub."""
    if not re.fullmatch(f"{_PART}/{_PART}", name, re.ASCII):
        raise UsageError(
            f"the name of a model on the hub is USER/NAME, of letters, digits, '-', '_' and '.', got {name!r:.200}"
        )


def answers() -> bool:
    """Whether the hub can be reached."""
    from huggingface_hub import get_session

    try:
        get_session().head(_endpoint(), timeout=PATIENCE)
        return True
    except Exception:  # each version of the library has errors of its own
        return False


def address_of(name: str) -> str:
    """Where the model called ``name`` is, or would be."""
    return f"{_endpoint()}/{name}"


def _endpoint() -> str:
    from huggingface_hub import constants

    return constants.ENDPOINT


@contextmanager
def _explaining(name: str) -> Iterator[None]:
    """What the library raises of the model ``name`` is a RunError in a sentence."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        raise RunError(f"model {name} is not given to everybody: ask for it at {address_of(name)}") from None
    except errors.RepositoryNotFoundError:
        raise RunError(
            f"there is no folder {name}, and no model of that name on the hub\n"
            "if it is a private one, log in by: hf auth login; what is trained here: gangen runs"
        ) from None
    except errors.LocalEntryNotFoundError:
        raise RunError(
            f"there is no folder {name}, and the hub, which may have a model of that name, does not answer\n"
            f"where there is a network: hf download {name} --local-dir FOLDER; then name that folder"
        ) from None
    except errors.EntryNotFoundError:
        raise RunError(f"{name} on the hub is no model of gangen: it has no gangen.json") from None
    except errors.HfHubHTTPError as error:
        said = error.server_message or str(error).strip().partition("\n")[0]
        raise RunError(f"the hub refuses what is asked of {name}: {said:.500}") from None
    except GangenError:
        raise
    except Exception as error:  # of the network, of which each version of the library has errors of its own
        raise RunError(f"{name} cannot be had from the hub, or put there: {summary(error)}") from None
