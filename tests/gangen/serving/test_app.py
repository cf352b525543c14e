"""The application as a client sees it: samples, files, the page, and one message for each thing that is wrong."""

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient

from gangen.serving.app import Limits, application


@pytest.fixture
def client(model):
    with TestClient(application(model, Limits(n=5, bytes=500))) as client:
        yield client


def test_samples_are_those_of_the_model_and_their_seed_gives_them_again(client, model):
    answer = client.post("/sample", json={"prompt": "ab", "n": 3, "settings": {"scale": 0.5}}).json()
    assert answer["samples"] == model.sample("ab", 3, seed=answer["seed"], scale=0.5)
    again = {"prompt": "ab", "n": 2, "seed": answer["seed"], "settings": {"scale": 0.5}}
    assert client.post("/sample", json=again).json()["samples"] == answer["samples"][:2]


def test_a_file_holds_all_samples(client, model):
    answer = client.post("/file", json={"prompt": "ab", "n": 3, "seed": 1})
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == "\n".join(model.sample("ab", 3, seed=1))


def test_what_is_no_text_comes_as_data_of_its_kind(client, model, monkeypatch):
    monkeypatch.setattr(type(model.codec), "suffix", ".png", raising=False)
    monkeypatch.setattr(type(model.codec), "decode", lambda self, samples: [{"picture": 1} for _ in samples])
    monkeypatch.setattr(type(model.codec), "write", lambda self, samples, path: path.write_bytes(b"PNG" * len(samples)))
    assert client.post("/file", json={"n": 2}).content == b"PNGPNG"
    coded = f"data:image/png;base64,{base64.b64encode(b'PNG').decode()}"
    assert client.post("/sample", json={"n": 2}).json()["samples"] == [coded] * 2


def test_the_model_says_what_it_takes(client):
    assert client.get("/model").json() == {
        "name": "words",
        "takes": "a word",
        "labels": ["ab", "cd"],
        "settings": {"scale": 1.0, "most": None},
        "files": False,
        "most": 5,
    }
    assert {"/model", "/sample", "/file"} <= client.get("/openapi.json").json()["paths"].keys()


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"n": 1_000_000_000}, "n must be at most 5, got 1000000000"),
        ({"n": 0}, "n must be at least 1, got 0"),
        ({"n": True}, "n must be an integer, got true"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"prompt": 7}, "words has no use for a prompt of type int: it takes a word"),
        ({"prompt": ["ab", "cd"]}, "words has no use for a prompt of type list: it takes a word"),
        ({"prompt": "?"}, "'?' is no word"),
        ({"settings": {"scale": "much"}}, "sampling setting 'scale' must be a number, got 'much'"),
        ({"settings": {"scal": 1}}, "words has no sampling setting 'scal'; did you mean 'scale'?"),
        ({"settings": {"start": 1}}, "sampling setting 'start' must be a Tensor, got 1"),
        ({"count": 1}, "a request has prompt, n, seed and settings, and no 'count'"),
        ([], "a request is a mapping in JSON, sent as application/json"),
    ],
)
def test_what_is_wrong_is_said_in_one_message(client, request_, words):
    answer = client.post("/sample", json=request_)
    assert answer.status_code == 422 and answer.json()["detail"].split("\n")[0] == words


@pytest.mark.parametrize("body", ['{"settings": {"\\ud800": 1}}', '{"\\ud800": 1}', '{"prompt": "\\ud800"}'])
def test_half_a_character_is_refused_and_shown_as_an_escape(client, body):
    answer = client.post("/sample", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422 and "'\\ud800'" in answer.json()["detail"]


def test_what_is_no_json_and_what_is_too_large_is_refused(client):
    headers = {"content-type": "application/json"}
    assert client.post("/sample", content=b"prompt=ab", headers=headers).status_code == 422
    large = client.post("/sample", json={"prompt": "a" * 1000})
    assert (large.status_code, large.json()["detail"]) == (413, "a request has at most 500 bytes")


def test_an_error_of_the_model_is_told_and_the_next_request_is_answered(client, model, monkeypatch):
    with monkeypatch.context() as broken, TestClient(application(model), raise_server_exceptions=False) as patient:
        broken.setattr(model.codec, "decode", lambda samples: 1 / 0, raising=False)
        answer = patient.post("/sample", json={})
        assert (answer.status_code, answer.json()["detail"]) == (500, "ZeroDivisionError: division by zero")
    assert client.post("/sample", json={}).status_code == 200


def test_paths_of_the_machine_that_serves_are_not_opened(model, monkeypatch, tmp_path):
    (tmp_path / "secret.txt").write_text("ab")
    opened = []

    def encode(self, prompt, n):
        opened.append((prompt.suffix, prompt.read_bytes()))
        return {"word": torch.full((n,), 2)}

    monkeypatch.setattr(type(model.codec), "prompt_types", (str, Path), raising=False)
    monkeypatch.setattr(type(model.codec), "encode", encode)
    with TestClient(application(model)) as client:
        assert client.get("/model").json()["files"]
        for prompt in (str(tmp_path / "secret.txt"), "data:text/plain;base64,*", "data:;base64,"):
            answer = client.post("/sample", json={"prompt": prompt})
            assert answer.status_code == 422 and "send it as data:TYPE;base64,CONTENT" in answer.json()["detail"]
        assert opened == []
        coded = f"data:image/png;base64,{base64.b64encode(b'pixels').decode()}"
        assert client.post("/sample", json={"prompt": coded}).status_code == 200
    assert opened == [(".png", b"pixels")]


def test_of_many_requests_at_once_none_is_lost_and_each_has_its_own_samples(client, model):
    asked = [{"prompt": "a" * (seed % 7), "n": 1 + seed % 5, "seed": seed} for seed in range(200)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda it: client.post("/sample", json=it).json()["samples"], asked))
    assert answers == [model.sample(it["prompt"], it["n"], seed=it["seed"]) for it in asked]


def test_a_model_is_called_by_its_title(model):
    with TestClient(application(model, title="verses")) as client:
        assert client.get("/model").json()["name"] == client.get("/openapi.json").json()["info"]["title"] == "verses"


def test_the_page_loads_nothing_from_elsewhere(client):
    page = client.get("/")
    assert page.status_code == 200 and "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("page.js", "page.css"):
        assert name in page.text and client.get(f"/{name}").status_code == 200
    assert "http" not in page.text
