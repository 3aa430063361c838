"""Settings that a model file carries: what is refused, and what is said about files without them."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from compactproofs import InvalidModel, Model, __main__, load_model
from compactproofs.opening import notes
from compactproofs.opening.configuration import KEY, as_text, from_text, of_file, unknown, unsaid, unsupported
from compactproofs.tasks.orders import MinOfK

V, N, D, H = 5, 3, 8, 4
PLAIN: dict[str, Any] = {
    "n_layers": 1,
    "n_heads": 1,
    "d_model": D,
    "d_head": H,
    "n_ctx": N,
    "d_vocab": V,
    "d_vocab_out": V,
    "attn_only": True,
    "normalization_type": None,
    "positional_embedding_type": "standard",
    "attention_dir": "causal",
    "use_attn_scale": True,
    "attn_scale": 2.0,
    "attn_scores_soft_cap": -1.0,
    "output_logits_soft_cap": -1.0,
    "clip_qkv": None,
    "use_local_attn": False,
    "use_logn_attn": False,
    "initializer_range": 0.8 / np.sqrt(D).item(),
    "dtype": "torch.float32",
    "seed": None,
}
NOT_PLAIN = [
    ({"normalization_type": "LNPre"}, "normalization_type is 'LNPre'; only normalization_type = None is supported"),
    ({"normalization_type": "LN"}, "normalization_type is 'LN'"),
    ({"use_attn_scale": False}, "use_attn_scale is False; only use_attn_scale = True"),
    ({"attn_scale": 1.0}, "attn_scale is 1.0; only sqrt(d_head) = 2.0"),
    ({"attn_scale": None}, "attn_scale is None"),
    ({"attn_scale": "nan"}, "attn_scale is 'nan'"),
    ({"attn_scale": [2.0]}, "attn_scale is ["),
    ({"positional_embedding_type": "shortformer"}, "positional_embedding_type is 'shortformer'"),
    ({"positional_embedding_type": "rotary"}, "positional_embedding_type is 'rotary'"),
    ({"attn_scores_soft_cap": 50.0}, "attn_scores_soft_cap is 50.0; soft caps are not supported"),
    ({"output_logits_soft_cap": 30}, "output_logits_soft_cap is 30; soft caps"),
    ({"output_logits_soft_cap": "much"}, "output_logits_soft_cap is 'much'; soft caps"),
    ({"attn_scores_soft_cap": True}, "attn_scores_soft_cap is True; soft caps"),
    ({"n_heads": 2}, "n_heads is 2; only n_heads = 1"),
    ({"n_heads": True}, "n_heads is True; only n_heads = 1"),
    ({"n_layers": 2}, "n_layers is 2; only n_layers = 1"),
    ({"attn_only": False}, "attn_only is False"),
    ({"attn_only": 1}, "attn_only is 1; only attn_only = True"),
    ({"attention_dir": "sideways"}, "only attention_dir = 'causal' or attention_dir = 'bidirectional' is supported"),
    ({"clip_qkv": 8.0}, "clip_qkv is 8.0"),
    ({"use_logn_attn": True}, "use_logn_attn is True"),
    ({"use_local_attn": True}, "use_local_attn is True"),
    ({"n_ctx": 4}, "n_ctx is 4, but the tensors have n_ctx = 3"),
    ({"d_vocab_out": 3}, "d_vocab_out is 3; only d_vocab_out = d_vocab = 5 is supported"),
    ({"normalization_type": "\x1b[2J" * 99}, "normalization_type is '"),
]
PLAIN_TOO = [
    {},
    {"attention_dir": "bidirectional"},
    {"attn_scores_soft_cap": None},
    {"output_logits_soft_cap": 0},
    {"attn_scale": 2},
    {"initializer_range": float("inf")},
    {"attn_types": ["global", 1, 2.5, None]},
]


def model(work: str = "max") -> Model:
    """A model that names the largest token, or the smallest or first one, or that has random weights."""
    if work == "random":
        rng = np.random.default_rng(0)
        shapes = ((V, D), (N, D), (D, H), (D, H), (D, H), (H, D), (D, V))
        return Model(*(rng.normal(size=shape) for shape in shapes))
    size = np.arange(V) if work == "max" else -np.arange(V)
    E = np.concatenate([np.eye(V), np.ones((V, 1)), size[:, None], np.zeros((V, D - V - 2))], axis=1)
    P = np.zeros((N, D))
    P[0, -1] = 1.0
    Q = np.zeros((D, V))
    Q[V, 0] = 100.0  # every query asks for the size of tokens, or for the first position
    K = np.zeros((D, V))
    K[-1 if work == "first" else V + 1, 0] = 1.0
    copy = np.eye(D, V)
    return Model(E, P, Q, K, copy, 3.0 * copy.T, np.eye(D, V))


def write(path: Path, settings: Any, tensors: Model | None = None, key: str = KEY) -> Path:
    """A file of a model that carries these settings, or this text."""
    text = settings if isinstance(settings, str) else as_text(settings)
    save_file((tensors or model("random")).state_dict(), path, {key: text})
    return path


@pytest.mark.parametrize("changes", PLAIN_TOO)
def test_supported(tmp_path: Path, changes: dict[str, Any]) -> None:
    """What means the same is accepted, live and from a file."""
    assert unsupported(PLAIN | changes, model("random")) is None
    assert load_model(write(tmp_path / "m.safetensors", PLAIN | changes)).sha256 == model("random").sha256


@pytest.mark.parametrize(("changes", "found"), NOT_PLAIN)
def test_unsupported(tmp_path: Path, changes: dict[str, Any], found: str) -> None:
    """The setting is named, and so is the file, on one line."""
    assert found.replace("'", "") in str(unsupported(PLAIN | changes, model("random"))).replace("'", "")
    path = write(tmp_path / "m.safetensors", PLAIN | changes)
    with pytest.raises(InvalidModel) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: in the metadata {KEY}, ")
    assert found.replace("'", "") in message.replace("'", "")
    assert message.isprintable()
    assert len(message) < len(str(path)) + 250


MALFORMED = [
    ("", "not valid JSON"),
    ("{", "not valid JSON"),
    ("[]", "no JSON object"),
    ("null", "no JSON object"),
    ('{"n_layers": 1, "n_layers": 1}', "the key n_layers appears twice"),
    ('{"attn_scale": 2.0}', "the number 2.0 is not an integer"),
    ('{"attn_scale": NaN}', "the number NaN"),
    ('{"attn_scale": 1' + "0" * 5000 + "}", "5001 digits"),
    ("[" * 70000, "opening brackets"),
    ('{"a": ' + "[" * 20000 + "]" * 20000 + "}", "nested too deeply"),
]


@pytest.mark.parametrize(("text", "found"), MALFORMED)
def test_malformed(tmp_path: Path, text: str, found: str) -> None:
    """A text that is no settings is refused, with the file and the reason."""
    with pytest.raises(ValueError, match="metadata") as caught:
        from_text(text)
    assert found in str(caught.value)
    path = write(tmp_path / "m.safetensors", text)
    with pytest.raises(InvalidModel, match=found) as refused:
        load_model(path)
    assert str(refused.value).startswith(f"{path}: ")


def test_surrogates_are_refused() -> None:
    """JSON can hold half a character, which is no text."""
    with pytest.raises(ValueError, match="not UTF-8 text"):
        from_text("\ud800")


@pytest.mark.parametrize("value", ["{}", [1], 7, None, {"a": 1}])
def test_metadata_that_are_no_text(tmp_path: Path, value: Any) -> None:
    """The reader of tensors refuses such files."""
    plain = tmp_path / "plain.safetensors"
    model("random").save(plain)
    data = plain.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]) | {"__metadata__": {KEY: value}}).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + length :])
    if value == "{}":
        assert of_file(path) == {}
    else:
        with pytest.raises(ValueError, match="no object whose values are all text"):
            of_file(path)


def test_floats_survive() -> None:
    """Text and back, a float is the text of the same float."""
    for value in (5.656854249492381, 1e-300, -1.0, float("inf"), 0.1 + 0.2):
        assert float(from_text(as_text({"attn_scale": value}))["attn_scale"]) == value
    assert from_text(as_text(PLAIN)) == PLAIN | {
        name: repr(value) for name, value in PLAIN.items() if isinstance(value, float)
    }


def test_unknown_and_unsaid() -> None:
    """What nobody here has heard of, and what a file does not speak of."""
    assert (unknown(PLAIN), unsaid(PLAIN)) == ([], [])
    assert unknown(PLAIN | {"use_new_trick": True, "another": 1}) == ["another", "use_new_trick"]
    assert len(unsaid({})) == 9
    assert len(unsaid({name: value for name, value in PLAIN.items() if name != "normalization_type"})) == 1


# What is said


@pytest.mark.parametrize(
    ("work", "found"),
    [
        ("max", None),
        ("min", "for 4.0% of inputs, and the smallest token for 100.0%"),
        ("first", "and the first token for 100.0%"),
    ],
)
def test_another_task(tmp_path: Path, work: str, found: str | None) -> None:
    """A model that does something else is noticed, and what it does is named."""
    path = write(tmp_path / "m.safetensors", PLAIN | {"d_head": V, "attn_scale": np.sqrt(V).item()}, model(work))
    lines, _ = notes.in_short(str(path), load_model(path))
    if found is None:
        assert lines == []
    else:
        assert len(lines) == 1
        assert lines[0].startswith("warning: the label is the largest token, which this model names for ")
        assert found in lines[0]
        assert "bounds hold nevertheless" in lines[0]


def test_a_model_that_does_nothing_is_noticed(tmp_path: Path) -> None:
    """Without a better idea."""
    path = write(tmp_path / "m.safetensors", PLAIN)
    (line,), answered = notes.in_short(str(path), load_model(path))
    assert "of inputs; was it trained for another task?" in line
    assert answered < 0.5


def test_what_a_file_leaves_open(tmp_path: Path) -> None:
    """All of it without settings, single things if some are missing or unknown, nothing otherwise."""
    path = tmp_path / "m.safetensors"
    works = model("max")
    works.save(path)
    ((line,), _) = notes.in_short(str(path), works)
    assert line.startswith("note: ")
    assert "'compactproofs show'" in line
    reading = notes.in_full(str(path), works)["reading"]
    for words in ("LNPre", "shortformer", "capped logits", "hooks", "compactproofs.lens.save"):
        assert words in reading

    plain = PLAIN | {"d_head": V, "attn_scale": np.sqrt(V).item()}
    some = {name: value for name, value in plain.items() if name != "clip_qkv"}
    write(path, some | {f"new_{i}": i for i in range(7)}, works)
    assert len(notes.in_short(str(path), works)[0]) == 1
    reading = notes.in_full(str(path), works)["reading"]
    assert "assumed to be absent: clipped queries, keys and values; " in reading
    assert reading.endswith("not known here: new_0, new_1, new_2, new_3, new_4 and 2 more")

    write(path, plain, works)
    assert notes.in_short(str(path), works) == ([], 1.0)
    assert notes.in_full(str(path), works)["reading"] == f"as the settings in its metadata say ({KEY})"


def test_the_zoo_needs_no_notes(tmp_path: Path) -> None:
    """It is known how its models are used, also under another name."""
    trained = load_model("max-of-4/123")
    trained.save(tmp_path / "m.safetensors")
    for name in ("max-of-4/123", str(tmp_path / "m.safetensors")):
        assert notes.in_short(name, trained) == ([], 1.0)
        (warning,), answered = notes.in_short(name, trained, MinOfK(trained.n_ctx, trained.d_vocab))
        assert answered < 0.1
        assert warning.startswith("warning: the label is the smallest token")
        assert notes.in_full(name, trained) == {"task": "the label is the largest token"}


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="needs names for open files")
def test_a_pipe_is_read_once() -> None:
    """A model that comes through a pipe loads as before; its settings cannot be looked at a second time."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as stream:
        stream.write(save(model("random").state_dict()))
    with os.fdopen(reading, "rb"):
        assert load_model(f"/dev/fd/{reading}").sha256 == model("random").sha256


def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Notes come on stderr after the work, JSON on stdout stays JSON, and refusals are one line."""

    def run(*words: str) -> tuple[int, str, str]:
        return __main__.run(list(words)), *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    model("min").save("min.safetensors")
    code, out, err = run("prove", "min.safetensors", "--strategy", "cubic", "--json")
    assert (code, len(json.loads(out))) == (0, 1)
    assert [line.partition(":")[0] for line in err.splitlines()] == ["note", "warning"]
    code, out, err = run("prove", "min.safetensors", "--budget", "2^20")
    assert (code, err.count("\n")) == (0, 2)
    assert out.startswith("min.safetensors: max of 3, 5 tokens, 125 inputs; the label is the largest token\n")
    code, out, err = run("show", "min.safetensors")
    assert (code, err) == (0, "")
    assert "the smallest token for 100.0%" in out
    assert "shortformer" in out

    write(tmp_path / "rotary.safetensors", PLAIN | {"positional_embedding_type": "rotary"})
    for words in (["show", "rotary.safetensors"], ["prove", "rotary.safetensors", "--all"]):
        code, out, err = run(*words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "positional_embedding_type is 'rotary'" in err
