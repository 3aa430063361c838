"""Models: what is read, what is refused and in which words."""

import hashlib
import json
import re
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save, save_file

from compactproofs import InvalidModel, Model
from compactproofs.kernel.tensors import MAX_HEADER_BYTES, Tensor
from compactproofs.networks.attention_only.biases import BIASES
from compactproofs.networks.weights import without_buffers
from compactproofs.opening.models import MAX_FILE_BYTES
from exactcheck import reading

Tensors = dict[str, npt.NDArray[Any]]
V, N, D, H = 5, 3, 4, 2
SHAPES = {"W_E": (V, D), "W_pos": (N, D), "W_Q": (D, H), "W_K": (D, H), "W_V": (D, H), "W_O": (H, D), "W_U": (D, V)}
ATTENTION = "blocks.0.attn."


def weights(seed: int = 0) -> Tensors:
    """Numbers that float32 holds, under our names."""
    generator = np.random.default_rng(seed)
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def state_dict(seed: int = 0, dtype: npt.DTypeLike = np.float32) -> Tensors:
    """The same under TransformerLens's names."""
    return Model(**weights(seed)).state_dict(dtype)


def write(path: Path, tensors: Tensors) -> Path:
    """A safetensors file of these tensors."""
    save_file(tensors, path)
    return path


def raw(header: dict[str, Any] | bytes, body: bytes = b"") -> bytes:
    """A safetensors file of any header and body."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def with_entries(extra: dict[str, tuple[str, list[int], bytes]]) -> bytes:
    """The file of a good model with other or further tensors, of any type, given as (dtype, shape, bytes)."""
    data = save({name: array for name, array in state_dict().items() if name not in extra})
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    for name, (dtype, shape, content) in extra.items():
        offsets = [len(body), len(body) + len(content)]
        header[name], body = {"dtype": dtype, "shape": shape, "data_offsets": offsets}, body + content
    return raw(header, body)


# What is read


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_load(tmp_path: Path, dtype: npt.DTypeLike) -> None:
    """Every number arrives as it is in the file, as float64."""
    model = Model.load(write(tmp_path / "m.safetensors", state_dict(dtype=dtype)))

    assert (model.d_vocab, model.n_ctx, model.d_model, model.d_head) == (V, N, D, H)
    for name, array in weights().items():
        assert getattr(model, name).dtype == np.float64
        np.testing.assert_array_equal(getattr(model, name), array)


def test_float32_and_float64_files_agree(tmp_path: Path) -> None:
    """A model is its numbers, not their storage."""
    paths = [write(tmp_path / str(dtype.__name__), state_dict(dtype=dtype)) for dtype in (np.float32, np.float64)]
    assert paths[0].stat().st_size < paths[1].stat().st_size
    assert Model.load(paths[0]).sha256 == Model.load(paths[1]).sha256 == Model(**weights()).sha256


def reference_hash(arrays: Tensors) -> str:
    """The hash by its description: a line of name and shape, then the rows as little-endian doubles."""
    text = b""
    for name in ("W_E", "W_pos", "W_Q", "W_K", "W_V", "W_O", "W_U"):
        rows, columns = arrays[name].shape
        text += f"{name} {rows} {columns}\n".encode()
        text += b"".join(struct.pack("<d", float(entry)) for row in arrays[name] for entry in row)
    given = {name: bias for name, bias in arrays.items() if name.startswith("b_") and bias.any()}
    for name, length in {"b_Q": H, "b_K": H, "b_V": H, "b_O": D, "b_U": V}.items() if given else ():
        text += f"{name} {length}\n".encode()
        text += b"".join(struct.pack("<d", float(entry)) for entry in given.get(name, np.zeros(length)))
    return hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize("seed", [0, 1])
def test_hash_by_its_description(seed: int) -> None:
    """A second implementation, from the docstring, agrees."""
    assert Model(**weights(seed)).sha256 == reference_hash(weights(seed))


@pytest.mark.parametrize("name", SHAPES)
def test_hash_sees_every_weight(name: str) -> None:
    """The next number up, anywhere, is another model."""
    changed = {k: array.astype(np.float64) for k, array in weights().items()}
    changed[name][-1, -1] = np.nextafter(changed[name][-1, -1], np.inf)
    assert Model(**changed).sha256 != Model(**weights()).sha256


def test_hash_sees_the_shape() -> None:
    """The same numbers in other shapes are another model."""
    one = {"W_E": (4, 1), "W_pos": (2, 1), "W_Q": (1, 2), "W_K": (1, 2), "W_V": (1, 2), "W_O": (2, 1), "W_U": (1, 4)}
    two = {**one, "W_Q": (1, 1), "W_K": (1, 1), "W_V": (1, 1), "W_O": (1, 1)}
    hashes = {Model(**{name: np.zeros(list(shape)) for name, shape in shapes.items()}).sha256 for shapes in (one, two)}
    assert len(hashes) == 2


def test_zero_has_no_sign() -> None:
    """-0.0 and 0.0 are the same real number, so the same model."""
    positive, negative = weights(), weights()
    positive["W_E"][0, 0], negative["W_E"][0, 0] = 0.0, -0.0
    assert Model(**positive).sha256 == Model(**negative).sha256
    assert not np.signbit(Model(**negative).W_E[0, 0])


def test_memory_layout_does_not_matter() -> None:
    """Transposed storage and strided views hold the same numbers."""
    columns = {name: np.asfortranarray(array) for name, array in weights().items()}
    strided = {name: np.repeat(array, 2, axis=1)[:, ::2] for name, array in weights().items()}
    assert Model(**columns).sha256 == Model(**strided).sha256 == Model(**weights()).sha256


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_biases_are_accepted(tmp_path: Path, dtype: npt.DTypeLike) -> None:
    """TransformerLens always saves biases; zeros change nothing."""
    biases: Tensors = {f"{ATTENTION}b_{letter}": np.zeros((1, H), dtype) for letter in "QKV"}
    biases |= {f"{ATTENTION}b_O": np.zeros(D, dtype), "unembed.b_U": -np.zeros(V, dtype)}
    path = write(tmp_path / "m.safetensors", state_dict() | biases)
    assert Model.load(path).sha256 == Model(**weights()).sha256


BUFFERS = [
    ("BOOL", [N, N], np.tri(N, dtype=np.bool_).tobytes()),
    ("I16", [2, 3], bytes(12)),
    ("BOOL", [], b"\1"),
    ("BOOL", [0, 0], b""),
    ("I64", [2], bytes(16)),
    ("U8", [1, 1, 3], bytes(3)),
    ("F16", [], bytes(2)),
    ("BF16", [2, 1], bytes(4)),
    ("F8_E4M3", [3], bytes(3)),
    ("F32", [], np.float32(-np.inf).tobytes()),
    ("F64", [2], np.full(2, np.nan).tobytes()),
]


@pytest.mark.parametrize("name", ["mask", "IGNORE"])
@pytest.mark.parametrize(("dtype", "shape", "content"), BUFFERS)
def test_buffers_are_ignored(tmp_path: Path, name: str, dtype: str, shape: list[int], content: bytes) -> None:
    """`mask` and `IGNORE` carry no weights; TransformerLens has changed their types and shapes between releases."""
    path = tmp_path / "m.safetensors"
    path.write_bytes(with_entries({ATTENTION + name: (dtype, shape, content)}))
    assert Model.load(path).sha256 == Model(**weights()).sha256


def of_bytes(mask: npt.NDArray[np.bool_], dtype: str) -> bytes:
    """A mask as a file has it."""
    return mask.astype({"BOOL": "u1", "U8": "u1", "F32": "<f4", "F64": "<f8"}[dtype]).tobytes()


MASKS = {
    "window": np.tri(N, dtype=np.bool_) & ~np.tri(N, k=-1, dtype=np.bool_),
    "one position hidden": np.tri(N, dtype=np.bool_) & ~np.eye(N, k=1 - N, dtype=np.bool_),
    "both directions": np.ones((N, N), np.bool_),
    "nothing": np.zeros((N, N), np.bool_),
}


@pytest.mark.parametrize("dtype", ["BOOL", "U8", "F32", "F64"])
@pytest.mark.parametrize("kind", MASKS)
def test_masks_of_other_attention(tmp_path: Path, kind: str, dtype: str) -> None:
    """TransformerLens uses the mask of a file, so a model with another one is another function; both readers know."""
    for mask, right in ((MASKS[kind], False), (np.tri(N, dtype=np.bool_), True)):
        path = tmp_path / "m.safetensors"
        path.write_bytes(with_entries({ATTENTION + "mask": (dtype, [N, N], of_bytes(mask, dtype))}))
        if right:
            assert Model.load(path).sha256 == reading.read_weights(path.read_bytes()).sha256
            continue
        with pytest.raises(InvalidModel, match=r"blocks\.0\.attn\.mask.* is not the mask of causal attention"):
            Model.load(path)
        with pytest.raises(reading.Malformed, match="another mask"):
            reading.read_weights(path.read_bytes())


@pytest.mark.parametrize(("dtype", "size"), [("BF16", 2), ("I64", 8), ("F8_E4M3", 1)])
def test_masks_of_other_types(tmp_path: Path, dtype: str, size: int) -> None:
    """What such a mask hides is not known."""
    path = tmp_path / "m.safetensors"
    path.write_bytes(with_entries({ATTENTION + "mask": (dtype, [N, N], bytes(N * N * size))}))
    with pytest.raises(InvalidModel, match="is not the mask of causal attention"):
        Model.load(path)
    with pytest.raises(reading.Malformed, match=f"a mask of type {dtype}"):
        reading.read_weights(path.read_bytes())


def test_masks_of_other_attention_in_state_dicts() -> None:
    """Those of arrays, too."""
    with pytest.raises(InvalidModel, match="mask of causal attention"):
        Model.from_state_dict(state_dict() | {ATTENTION + "mask": MASKS["window"]})
    assert Model.from_state_dict(state_dict() | {ATTENTION + "mask": np.tri(N)}).sha256 == Model(**weights()).sha256


@pytest.mark.parametrize("name", ["blocks.0.attn.mask", "blocks.3.attn.mask"])
def test_masks_of_any_layer(name: str) -> None:
    """What decoders and networks of several heads are read with looks at all masks, and leaves buffers out."""
    others = {"unembed.b_U": Tensor("F32", (1,), memoryview(bytes(4)))}
    for mask in (*MASKS.values(), np.tri(N, dtype=np.bool_)):
        tensors = {**others, name: Tensor("BOOL", (N, N), memoryview(mask.tobytes()))}
        listed = {key: (tensor.dtype, list(tensor.shape), bytes(tensor.data)) for key, tensor in tensors.items()}
        if (mask == np.tri(N)).all():
            assert without_buffers(tensors) == others
            assert list(reading.without_buffers(listed)) == list(others)
            continue
        with pytest.raises(InvalidModel, match=name):
            without_buffers(tensors)
        with pytest.raises(reading.Malformed, match=name):
            reading.without_buffers(listed)


def test_metadata_is_ignored(tmp_path: Path) -> None:
    """Notes in the header are not part of the model."""
    save_file(state_dict(), tmp_path / "m.safetensors", metadata={"note": "hello"})
    assert Model.load(tmp_path / "m.safetensors").sha256 == Model(**weights()).sha256


@pytest.mark.parametrize("factor", [1.0, 1.0 / 3.0, 1e300, 5e-324])
def test_save_and_load(tmp_path: Path, factor: float) -> None:
    """Saving loses nothing, also where float32 would round, overflow or underflow."""
    model = Model(
        **{name: array.astype(np.float64) * min(factor, 1.0) for name, array in weights().items()}
        | {"W_E": np.full((V, D), factor)}
    )
    model.save(tmp_path / "m.safetensors")
    again = Model.load(tmp_path / "m.safetensors")

    assert again.sha256 == model.sha256
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.safetensors"]


def test_save_prefers_float32(tmp_path: Path) -> None:
    """A model that came from float32 goes back to it."""
    Model(**weights()).save(tmp_path / "m.safetensors")
    assert (tmp_path / "m.safetensors").read_bytes().count(b"F32") == 7


def test_state_dict_does_not_round() -> None:
    """An inexact type is refused, with the weight that it would change."""
    model = Model(**weights() | {"W_K": np.full((D, H), 0.1)})
    with pytest.raises(ValueError, match="W_K does not fit float32 without rounding"):
        model.state_dict(np.float32)


def test_arrays_are_copied_and_frozen() -> None:
    """Neither the caller's arrays nor the model's own can change the model."""
    given = {name: array.astype(np.float64) for name, array in weights().items()}
    model = Model(**given)
    before = model.sha256
    for name, array in given.items():
        array[:] = 7.0
        assert not np.shares_memory(array, getattr(model, name))
        with pytest.raises(ValueError, match="read-only"):
            getattr(model, name)[0, 0] = 7.0
    for array in model.state_dict().values():
        array[:] = 7.0

    assert Model(**{name: getattr(model, name) for name in SHAPES}).sha256 == before
    with pytest.raises(AttributeError):
        model.W_E = given["W_E"]  # type: ignore[misc]


# What is refused


def refused(tensors: Tensors, *fragments: str) -> None:
    """The state dict is refused, and the message has all of these fragments."""
    with pytest.raises(InvalidModel) as caught:
        Model.from_state_dict(tensors)
    for fragment in fragments:
        assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["blocks.0.ln1.w", "blocks.0.ln1.b", "ln_final.w"], "found blocks.0.ln1.b, blocks.0.ln1.w, ln_final.w; "),
        ([f"layer{i}" for i in range(9)], "found layer0, layer1, layer2 and 6 more; "),
        (["blocks.0.attn.rotary_sin"], "blocks.0.attn.rotary_sin"),
        (["blocks.0.attn.sinks"], "blocks.0.attn.sinks"),
    ],
)
def test_other_architectures(names: list[str], found: str) -> None:
    """The message names what the model has and what is supported."""
    refused(state_dict() | {name: np.zeros((2, 2)) for name in names}, found, "supported: one layer, one head")


@pytest.mark.parametrize("letter", "QKVO")
def test_several_heads(letter: str) -> None:
    """A second head shows in the leading axis."""
    name = f"{ATTENTION}W_{letter}"
    tensors = state_dict()
    tensors[name] = np.repeat(tensors[name], 2, axis=0)
    refused(tensors, name, "(2, ", "the number of heads", "supported: one layer, one head")


def test_missing_head_axis() -> None:
    """Attention weights without the axis for heads are not TransformerLens's."""
    tensors = state_dict()
    tensors[f"{ATTENTION}W_Q"] = tensors[f"{ATTENTION}W_Q"][0]
    refused(tensors, f"{ATTENTION}W_Q has shape ({D}, {H}); expected (1, d_model, d_head)")


def with_bias(name: str, value: float, dtype: npt.DTypeLike = np.float32) -> Tensors:
    """A state dict with one bias more, of this value in its last entry and 0 elsewhere."""
    disk, axes, has_head_axis = BIASES[name]
    bias = np.zeros({"h": H, "d": D, "v": V}[axes], dtype)
    bias[-1] = value
    return state_dict() | {disk: bias[None] if has_head_axis else bias}


@pytest.mark.parametrize("name", BIASES)
@pytest.mark.parametrize("value", [-1.5, 1e-45])
def test_biases(tmp_path: Path, name: str, value: float) -> None:
    """A bias that is not zero, however small, is kept, makes another model of another hash, and is saved again."""
    model = Model.from_state_dict(with_bias(name, value))
    assert model.biases == (name,)
    assert getattr(model, name)[-1] == np.float32(value)
    assert model.sha256 == reference_hash(weights() | {name: getattr(model, name)}) != Model(**weights()).sha256
    model.save(tmp_path / "m.safetensors")
    assert Model.load(tmp_path / "m.safetensors").sha256 == model.sha256
    assert model.sha256 == Model.from_state_dict(with_bias(name, float(np.float32(value)), np.float64)).sha256


@pytest.mark.parametrize("name", BIASES)
def test_biases_that_add_up_to_nothing(name: str) -> None:
    """They are not zero."""
    disk = BIASES[name][0]
    tensors = with_bias(name, 3.0)
    tensors[disk][..., 0] = -3.0
    assert Model.from_state_dict(tensors).biases == (name,)


def test_the_hash_tells_biases_apart() -> None:
    """Equal numbers in different biases are different models."""
    square = {"W_E": (3, 3), "W_pos": (2, 3), **dict.fromkeys(("W_Q", "W_K", "W_V", "W_O", "W_U"), (3, 3))}
    base = {name: np.ones(list(shape)) for name, shape in square.items()}
    assert len({Model(**base, **{name: np.ones([3])}).sha256 for name in BIASES}) == 5


@pytest.mark.parametrize("name", BIASES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_biases_must_be_finite(name: str, value: float) -> None:
    """Like weights."""
    refused(with_bias(name, value), f"{name} contains NaN or infinity")


@pytest.mark.parametrize("name", BIASES)
def test_shapes_of_biases(name: str) -> None:
    """They must fit the weights, zero or not, and those of the head have an axis for it."""
    disk, axes, has_head_axis = BIASES[name]
    bias = with_bias(name, 0.0)[disk]
    longer = np.concatenate([bias, bias], axis=-1)
    size, named = longer.shape[-1], {"h": "d_head", "d": "d_model", "v": "d_vocab"}[axes]
    refused(state_dict() | {disk: longer}, f"{name} has {named}", f" = {size}, but W_", f" has {named} = {size // 2}")
    for other in (bias[:, None], bias[None], bias[..., :0]):
        refused(state_dict() | {disk: other}, f"{name} has shape (", "; expected (", named)
    if has_head_axis:
        refused(state_dict() | {disk: np.repeat(bias, 2, axis=0)}, f"expected (1, {named}), where 1 is the number of")


def exactly(matrix: npt.ArrayLike) -> npt.NDArray[Any]:
    """Its entries as fractions."""
    return np.asarray(np.vectorize(Fraction, otypes=[object])(np.asarray(matrix, np.float64)))


@pytest.mark.parametrize("seed", range(5))
def test_folding_is_exact(seed: int) -> None:
    """In fractions: what the folded matrices make of residuals is what the definition does, with nothing rounded."""
    rng = np.random.default_rng(seed)
    biases = {name: rng.normal(size={"h": H, "d": D, "v": V}[axes]) for name, (_, axes, _) in BIASES.items()}
    model = Model(**weights(seed), **biases)
    E, P, Q, K, V_, W_O, U = (exactly(getattr(model, name)) for name in SHAPES)
    b_Q, b_K, b_V, b_O, b_U = (exactly(getattr(model, name)) for name in BIASES)
    folded = {name: exactly(model.weight(name)) for name in SHAPES}
    tokens = rng.integers(0, V, N)
    attention = exactly(rng.integers(1, 9, N))
    attention = attention / attention.sum()

    x, wide = E[tokens] + P, folded["W_E"][tokens] + folded["W_pos"]
    scores = (x[-1].dot(Q) + b_Q).dot((x.dot(K) + b_K).T)
    assert (wide[-1].dot(folded["W_Q"]).dot(wide.dot(folded["W_K"]).T) == scores).all()
    head = attention.dot(x.dot(V_) + b_V).dot(W_O) + b_O
    read = wide[-1] + attention.dot(wide.dot(folded["W_V"]).dot(folded["W_O"]))
    assert (read.dot(folded["W_U"]) == (x[-1] + head).dot(U) + b_U).all()
    assert folded["W_Q"].shape[1] == model.d_head
    assert model.width == D + 1
    with pytest.raises(ValueError, match="read-only"):
        model.weight("W_E")[0, 0] = 1.0


def test_without_biases_nothing_is_folded() -> None:
    """The matrices are the weights themselves, also where all biases are zero."""
    zero = {name: -np.zeros([{"h": H, "d": D, "v": V}[axes]]) for name, (_, axes, _) in BIASES.items()}
    for model in (Model(**weights()), Model(**weights(), **zero)):
        assert model.biases == ()
        assert model.width == model.d_model
        assert all(model.weight(name) is getattr(model, name) for name in SHAPES)
        assert set(model.state_dict()) == set(state_dict())


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_must_be_finite(name: str, value: float) -> None:
    """NaN and infinity are found wherever they are."""
    arrays = weights()
    arrays[name][-1, 0] = value
    with pytest.raises(InvalidModel, match=f"{name} contains NaN or infinity"):
        Model(**arrays)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("axis", [0, 1])
def test_shapes_must_agree(name: str, axis: int) -> None:
    """The message names both matrices and the size on which they differ."""
    arrays = weights()
    arrays[name] = np.concatenate([arrays[name], arrays[name]], axis=axis)
    if (name, axis) == ("W_pos", 0):
        assert Model(**arrays).n_ctx == 2 * N
        return
    with pytest.raises(InvalidModel, match=r"W_\w+ has d_\w+ = \d+, but W_\w+ has d_\w+ = \d+"):
        Model(**arrays)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("shape", [(), (4,), (1, 4, 4), (0, 4), (4, 0)])
def test_shapes_must_be_matrices(name: str, shape: tuple[int, ...]) -> None:
    """The message has the shape that was found and the axes that were expected."""
    expected = "d_" if name != "W_pos" else "n_ctx, d_model"
    with pytest.raises(InvalidModel, match=re.escape(f"{name} has shape {shape}; expected (") + f".*{expected}"):
        Model(**weights() | {name: np.zeros(shape)})


@pytest.mark.parametrize("dtype", ["float16", "int64", "bool", "complex64", "longdouble", "object", "S3"])
def test_types(dtype: str) -> None:
    """Only float32 and float64 have an agreed exact meaning here."""
    with pytest.raises(InvalidModel, match=r"W_V has type .*; weights must be float32 or float64"):
        Model(**weights() | {"W_V": np.zeros((D, H), dtype)})


def test_one_token() -> None:
    """With one token every answer is right."""
    arrays = weights()
    arrays["W_E"], arrays["W_U"] = arrays["W_E"][:1], arrays["W_U"][:, :1]
    with pytest.raises(InvalidModel, match="d_vocab is 1: with a single token there is no wrong answer"):
        Model(**arrays)


@pytest.mark.parametrize("name", sorted(state_dict()))
def test_missing_tensors(name: str) -> None:
    """The missing tensor is named, and so are all that are expected."""
    tensors = state_dict()
    del tensors[name]
    refused(tensors, f"no tensor named {name}", "a TransformerLens state dict has all of embed.W_E")


def test_nothing() -> None:
    """An empty state dict lacks everything."""
    refused({}, "no tensor named embed.W_E, pos_embed.W_pos")


# Files


def refused_file(path: Path, data: bytes, *fragments: str) -> None:
    """A file of these bytes is refused, and the message has the path and all of these fragments."""
    path.write_bytes(data)
    with pytest.raises(InvalidModel) as caught:
        Model.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) < len(str(path)) + 400
    for fragment in fragments:
        assert fragment in message


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A place for a bad file."""
    return tmp_path / "bad.safetensors"


@pytest.mark.parametrize(
    ("dtype", "size"), [("F16", 2), ("BF16", 2), ("I64", 8), ("BOOL", 1), ("F8_E5M2", 1), ("C64", 8)]
)
def test_file_types(file: Path, dtype: str, size: int) -> None:
    """The type is named as the file names it, with what to do."""
    data = with_entries({"embed.W_E": (dtype, [V, D], bytes(V * D * size))})
    refused_file(file, data, f"embed.W_E has type {dtype}", "must be F32 or F64", "convert")


@pytest.mark.parametrize("dtype", ["F128", "f32", "", None, 5, [], ["F32"], {}, True])
def test_file_types_that_the_format_does_not_have(file: Path, dtype: object) -> None:
    """Their size is unknown, so the file cannot be read, not even where the tensor does not matter."""
    found = dtype if isinstance(dtype, str) else "that is no text"
    for name in ("x", f"{ATTENTION}mask"):
        header = {name: {"dtype": dtype, "shape": [], "data_offsets": [0, 0]}}
        refused_file(file, raw(header), f"{name} has type {found}; the format has F4, ")


def test_truncated(file: Path) -> None:
    """Cut at any place, a file is refused."""
    data = save(state_dict())
    header = 8 + int.from_bytes(data[:8], "little")
    for length in [*range(header + 9), *range(header + 9, len(data), 37), len(data) - 1]:
        refused_file(file, data[:length], "not a")


def test_trailing_bytes(file: Path) -> None:
    """Bytes that belong to no tensor are refused."""
    refused_file(file, save(state_dict()) + b"\0", "not a valid safetensors file")


@pytest.mark.parametrize("length", [10, MAX_HEADER_BYTES + 1, 2**32, 2**63, 2**64 - 1])
def test_header_longer_than_the_file(file: Path, length: int) -> None:
    """A header that claims gigabytes is not believed."""
    refused_file(
        file,
        length.to_bytes(8, "little") + b"{}",
        f"not a whole safetensors file: its header claims {length} bytes of 2 that follow",
    )


def test_header_too_large(file: Path) -> None:
    """Even one that is there."""
    refused_file(file, raw(b"{" + b" " * MAX_HEADER_BYTES + b"}"), "header is larger than 1048576 bytes (1 MiB)")


@pytest.mark.parametrize(
    ("header", "fragment"),
    [
        (b"", "no JSON object"),
        (b"{", "not valid JSON"),
        (b"[]", "no JSON object"),
        (b"null", "no JSON object"),
        (b" {}", "no JSON object"),
        (b"\xef\xbb\xbf{}", "no JSON object"),
        (b"{\xff\xfe", "not UTF-8"),
        (b'{"a":' + b"[" * 50_000, "nested too deeply"),
        (b'{"a": 1.5}', "only integers"),
        (b'{"a": NaN}', "only integers"),
        (b'{"a": 1' + b"0" * 5000 + b"}", ""),
        (b'{"a": -0}', "the number -0 has a sign"),
        (b'{"a": 1}', "a is no object with exactly the keys"),
        (b'{"a": {}}', "a is no object with exactly the keys"),
        (b'{"\\u001b[31m": {}}', r"'\x1b[31m' is no object"),
        (b'{"\\ud800": {}}', r"'\ud800' is no object"),
        (b'{"' + b"a" * 10_000 + b'": {}}', "... is no object"),
        (b'{"__metadata__": {"note": 5}}', "its __metadata__ is no object whose values are all text"),
        (b'{"__metadata__": null}', "its __metadata__ is no object"),
        (b'{"__metadata__": {"note": "\\udfff"}}', "its __metadata__ is no object"),
        (b"{}", "no tensor named embed.W_E"),
        (b"{} \n\t", "no tensor named embed.W_E"),
    ],
)
def test_bad_headers(file: Path, header: bytes, fragment: str) -> None:
    """Headers that are not JSON, not an object, or not about tensors."""
    refused_file(file, raw(header), fragment)


def test_duplicate_names(file: Path) -> None:
    """A name that appears twice has no meaning; readers differ in which one they take."""
    data = save(state_dict())
    length = int.from_bytes(data[:8], "little")
    text = data[8 : 8 + length].rstrip()
    entry = json.dumps({"embed.W_E": json.loads(text)["embed.W_E"]})[1:-1].encode()
    refused_file(file, raw(text[:-1] + b"," + entry + b"}", data[8 + length :]), "the key embed.W_E appears twice")


def test_duplicate_names_are_found_fast(file: Path) -> None:
    """A header full of names costs no quadratic time."""
    names = b",".join(b'"%d":0' % i for i in range(100_000))
    refused_file(file, raw(b"{" + names + b',"99999":0}'), "the key 99999 appears twice")


@pytest.mark.parametrize("offsets", [[0, 8], [4, 12], [-8, 0], [8, 0], [0, 2**63], [0, 2**64], [0], [], "ab", None])
def test_bad_offsets(file: Path, offsets: object) -> None:
    """Tensors that overlap or lie outside the file are refused."""
    good = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    refused_file(file, raw({"a": good, "b": {**good, "data_offsets": offsets}}, bytes(16)))


@pytest.mark.parametrize("shape", [[3], [2, 2], [-2], [2**63], [2**64], [1.0], "2", None, [2**62, 2**62]])
def test_bad_shapes(file: Path, shape: object) -> None:
    """A shape that does not fit the bytes is refused before anything is allocated."""
    refused_file(file, raw({"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 8]}}, bytes(8)))


@pytest.mark.parametrize(
    "data", [b"", b"x", b"PK\x03\x04" * 9, b"\x80\x04\x95" * 9, b'{"format": "compactproofs certificate"}', bytes(64)]
)
def test_other_formats(file: Path, data: bytes) -> None:
    """Zip archives (PyTorch's files), pickles, JSON and zeros are not safetensors."""
    refused_file(file, data)


def test_large_files_are_not_read(file: Path) -> None:
    """A file over the limit is refused without its content."""
    with file.open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(InvalidModel, match=f"the file is larger than {MAX_FILE_BYTES} bytes"):
        Model.load(file)


def test_paths(tmp_path: Path) -> None:
    """A path that cannot be read is an OSError with its name."""
    for path, kind in ((tmp_path, IsADirectoryError), (tmp_path / "none", FileNotFoundError)):
        with pytest.raises(kind) as caught:
            Model.load(path)
        assert caught.value.filename == str(path)
        with pytest.raises(kind):
            Model.load(str(path))
