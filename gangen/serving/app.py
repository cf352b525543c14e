"""The application: what it takes, what it answers, and what it refuses."""

import asyncio
import base64
import binascii
import mimetypes
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field

from gangen import __version__
from gangen.components.messages import EXPECTED, show
from gangen.errors import GangenError, UsageError
from gangen.failures import summary
from gangen.metrics.figures import is_number
from gangen.model import Model
from gangen.outputs import as_file, as_json, media_type
from gangen.printing import visible
from gangen.serving.batches import Batches, Busy, Draw

PAGE = Path(__file__).with_name("page")
# Requests that wait at most; others are sent away at once.
WAITING = 200
# The page loads nothing from elsewhere, and runs no script but its own.
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; media-src data:; connect-src 'self'"


@dataclass(frozen=True)
class Limits:
    """Of a request: samples, bytes of its body with the prompt, and seconds until its answer."""

    n: int = 64
    bytes: int = 2**20
    seconds: float = 60.0


class Refusal(BaseModel):
    """What is wrong, in words."""

    detail: str


class About(BaseModel):
    """What the model is and takes; of ``labels`` any may be a prompt. ``files``: a prompt is a file, as a data URI."""

    name: str
    takes: str
    labels: list[str]
    settings: dict[str, Any]
    files: bool
    most: int


class Samples(BaseModel):
    """Samples in order: texts, lists of numbers, or data URIs; the same seed gives them again."""

    seed: int
    samples: list[Any]


def application(model: Model, limits: Limits | None = None, title: str = "") -> FastAPI:
    """The application that serves ``model``, which people call by its ``title``."""
    limits, title = limits or Limits(), title or model.name
    files = model.takes_files
    settings = {
        name: value
        for name, value in model.written_settings.items()
        if value is None or is_number(value) or isinstance(value, str | bool)
    }

    class Wanted(BaseModel):
        """What to sample: as many as ``n`` for a prompt, with settings of the model's; without a seed it is drawn."""

        model_config = ConfigDict(extra="forbid")
        prompt: Any = None
        n: Annotated[int, Field(strict=True, ge=1, le=limits.n)] = 1
        seed: Annotated[int, Field(strict=True, ge=0, lt=2**64)] | None = None
        settings: dict[str, Any] = {}

    @asynccontextmanager
    async def drawing(app: FastAPI) -> AsyncIterator[None]:
        app.state.batches = Batches(model, rows=model.batch_size, waiting=WAITING, seconds=limits.seconds)
        task = asyncio.create_task(app.state.batches.run())
        yield
        task.cancel()

    refusals: dict[int | str, dict[str, Any]] = {status: {"model": Refusal} for status in (413, 422, 503)}
    app = FastAPI(title=title, version=__version__, lifespan=drawing, docs_url=None, redoc_url=None, responses=refusals)
    app.add_middleware(_Bounded, most=limits.bytes)

    async def drawn(wanted: Wanted, form: Callable[[list[Any]], Any]) -> tuple[int, Any]:
        seed = secrets.randbits(53) if wanted.seed is None else wanted.seed  # so many bits JavaScript knows exactly
        with TemporaryDirectory() as folder:
            prompt = _file(wanted.prompt, Path(folder), model) if files else wanted.prompt
            request = Draw(prompt, wanted.n, seed, wanted.settings, form)
            return seed, await app.state.batches.draw(request)

    @app.get("/model")
    def about() -> About:
        """What the model is, and what it takes."""
        return About(name=title, takes=model.takes, labels=model.labels, settings=settings, files=files, most=limits.n)

    @app.post("/sample")
    async def sample(wanted: Wanted) -> Samples:
        """Samples as JSON."""
        seed, samples = await drawn(wanted, lambda made: [as_json(it, model.codec) for it in made])
        return Samples(seed=seed, samples=samples)

    @app.post("/file", response_class=Response)
    async def file(wanted: Wanted) -> Response:
        """All samples in one file of the kind that the model's are written to, as a sheet of pictures."""
        seed, content = await drawn(wanted, lambda made: as_file(made, model.codec))
        return Response(content, media_type=media_type(model.codec), headers={"X-Seed": str(seed)})

    @app.exception_handler(GangenError)
    def refuse(request: Request, error: GangenError) -> JSONResponse:
        status = 503 if isinstance(error, Busy) else 422 if isinstance(error, UsageError) else 500
        return JSONResponse({"detail": visible(str(error))}, status, {"Retry-After": "1"} if status == 503 else None)

    @app.exception_handler(RequestValidationError)
    def explain(request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": visible("\n".join(map(_words, error.errors())))}, 422)

    @app.exception_handler(Exception)
    def fail(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": visible(summary(error))}, 500)

    @app.middleware("http")
    async def secure(request: Request, answer: Any) -> Response:
        response = await answer(request)
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


class _Bounded:
    """Reads no more of a request than ``most`` bytes."""

    def __init__(self, app: Any, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        read = 0

        async def bounded() -> Any:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.most:
                raise HTTPException(413, f"a request has at most {self.most:,} bytes")
            return message

        await self.app(scope, bounded if scope["type"] == "http" else receive, send)


def _words(wrong: Mapping[str, Any]) -> str:
    """What pydantic finds wrong with a request."""
    match wrong["type"]:
        case "json_invalid" | "model_attributes_type":
            return "a request is a mapping in JSON, sent as application/json"
        case "extra_forbidden":
            return f"a request has prompt, n, seed and settings, and no {show(wrong['loc'][-1])}"
    name = ".".join(map(str, wrong["loc"][1:])) or "a request"
    expected = EXPECTED.get(wrong["type"], wrong["msg"]).format(**wrong.get("ctx", {}))
    return f"{name} must be {expected}, got {show(wrong['input'])}"


def _file(prompt: Any, folder: Path, model: Model) -> Any:
    """The file of a data URI, put into ``folder``. A path is none: it would be one of this machine.

    Raises UsageError for any other text.
    """
    if not isinstance(prompt, str):
        return prompt
    found = re.fullmatch(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", prompt, re.ASCII)
    try:
        content = base64.b64decode(found[2], validate=True) if found else None
    except binascii.Error:
        content = None
    if found is None or content is None:
        raise UsageError(f"this model takes a file, {model.takes}: send it as data:TYPE;base64,CONTENT")
    path = folder / f"prompt{mimetypes.guess_extension(found[1]) or ''}"
    path.write_bytes(content)
    return path
