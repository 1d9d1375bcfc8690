"""Goldens for the CLIP tokenizer: ids by transformers' CLIPTokenizer.

    make_tokenizer_goldens.py VOCABULARY

VOCABULARY is bpe_simple_vocab_16e6.txt.gz of the PyPI package open_clip_torch: the merges of the real CLIP
tokenizer. Writes to tests/data/tokenizer/:

    emoji.json     the 2,048 words of data/models/emoji at its own length and at 512, with random texts
    variants.json  the same words with other special tokens and other configuration files
    clip.json      the real 49,408 words; clip/ has of them what these texts need (see reduce())

A case is {"text": ...} or, where the bytes are not UTF-8, {"hex": ...}, with the ids before the padding.
"""
import copy
import gzip
import json
import random
import sys
import tempfile
from pathlib import Path

from transformers import CLIPTokenizer

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "data" / "tokenizer"
EMOJI = HERE.parent.parent / "data" / "models" / "emoji" / "tokenizer"
START, END = "<|startoftext|>", "<|endoftext|>"

TEXTS = [
    "", " ", "   \t\n ", "a", "a red apple", "A Photo of a CAT", "  two  spaces\tand\nlines\r\n",
    "no\u00a0break\u3000ideographic\u2003em\u0085next\u2028line", "caf\u00e9 cafe\u0301 CAFE\u0301",
    "A\u030angstr\u00f6m \u212b \u00c5", "o\u0302\u0323 o\u0323\u0302 \u1ed9", "a\u0315\u0300\u05ae\u0062",
    "\u8d64\u3044\u308a\u3093\u3054", "\u30ac\u30ab\u3099 \u304c", "\ud55c\uad6d\uc5b4",
    "\u1112\u1161\u11ab\u1100\u116e\u11a8 \uac00\u11a8", "\u4e2d\u6587\u5b57\u7b26\uff0c\u6807\u70b9\u3002",
    "\U0001f34e", "\U0001f469\U0001f3fd\u200d\U0001f680 \U0001f1e9\U0001f1ea \u2764\ufe0f",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "don't stop-me_now", "DON'T YOU'LL We'Ve I'M he'd it's o'clock",
    "'s 'LL ' '' '''s 'several 'x", "it\u2019s \u2018quoted\u2019 \u201ctext\u201d", "10,000", "3.14159 1/2 \u00bd \u2167 \u0663 \u0967",
    "7 77 777 r2d2 x86_64", "\u0130stanbul \u0131 I i \u0130\u0307", "Stra\u00dfe STRASSE \u1e9e", "\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3 \u03c2 \u03c3",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0650\u0633\u0652\u0645\u0650", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0915\u093c \u0958",
    "\u05e9\u05c1\u05dc\u05d5\u05dd \ufb2a", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\u01c4 \u01c5 \u01c6 \ufb01 \ufb03 \uff21\uff22\uff23",
    "zero\u200bwidth\u200cnon\u200djoin\ufeffbom\u2060", "\u200fright\u200eleft\u202eoverride\u202c",
    "&amp; &lt;b&gt; &#39; <b>bold</b>", "!!!???...", "!?!? ,,, --- ___ *** ((a)) [b] {c} #tag @user $5 50%",
    "http://example.com/a?b=c&d=e#f", "a\x01b\x02\x7f\x9fc", "\u0301start \u0301 \u20dd", "x\u0334\u0345\u0323\u0301y",
    "\u0378 \U0001fffe \ue000 \U0010ffff \ufffe", "\u0b95\u0bcb \u1b06 \U0001109a", "\U0001d400\U0001d7d8 \U00010400\U00010428",
    "\u1e9b\u0323 \u0344 \u0958 \U0001d15e", "\ua7cb \u1c89 \U00010d50 \U00016ea0 \u0897 \U0001e4ec\u0334 \U00011935\U00011930",
    START, END, f"a {END} b", f"a{END}b{START}c", f"x {END.upper()} y", f"!{END}!! {START}'s", "<|endoftext |> <| endoftext|>",
    f"{END.upper()}!! <|STARTOFTEXT|>a", "<|endoftext", "a cat, a dog, and a bird; (their) [home]: 'nest'",
    "masterpiece, best quality, 8k, ultra-detailed, trending on artstation", "(word:1.3) [less] ((more))",
    " ".join(f"word{i}" for i in range(500)), "na" * 400, "supercalifragilisticexpialidocious" * 3, "!" * 200, "\u0301\u0323" * 60,
]

BYTES = [
    b"\xff", b"a\x80b", b"\xc3", b"caf\xc3\xa9 \xc3(", b"\xe2\x82", b"\xe2\x28\xa1", b"\xf0\x9f\x8d", b"\xf0\x9f\x8d\x8e\x8e",
    b"\xed\xa0\x80\xed\xb0\x80", b"\xc0\xaf\xe0\x80\xaf", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"x\xfe\xfey \xe0\xa0z",
    b"\xf0\x80\x80\x80 \xf1\x80\x80", b"Latin-1: \xe9t\xe9",
]

RANGES = [
    (0x20, 0x7e), (0x20, 0x7e), (0x01, 0x1f), (0x80, 0xff), (0x100, 0x24f), (0x300, 0x36f), (0x370, 0x3ff), (0x400, 0x52f),
    (0x530, 0x6ff), (0x700, 0x8ff), (0x900, 0xdff), (0xe00, 0x10ff), (0x1100, 0x11ff), (0x1ab0, 0x1fff), (0x2000, 0x206f),
    (0x2070, 0x2bff), (0x3000, 0x30ff), (0x4e00, 0x9fff), (0xa640, 0xabff), (0xac00, 0xd7a3), (0xf900, 0xffff),
    (0x10000, 0x11fff), (0x16d00, 0x16fff), (0x1d100, 0x1e9ff), (0x1f000, 0x1faff), (0x1fb00, 0x10ffff),
]

# Texts for tokenizers with added tokens of all kinds.
VARIANT_TEXTS = [
    f"a {END} b", f"a  {END.upper()}  b", f"{START.upper()} x", "hi! there", "!", "a <cat-toy> b", "a <CAT-TOY> b", "<cat-toy>2",
    "my  dog  barks", "dogs hotdog dog", "dog,dog_dog-dog", "a <x> b<X>y <x>y", "<z>   <z>", "<img> <mask> <IMG>",
    "\u00e9t\u00e9 xyz zz z", "\u24d0dog dog\u24d0 1dog", "caf\u00e9 cafe\u0301", "<|endoftext|", "the <img>dog</img>", "",
    "cat <x> dog", "cat  <x>  dog dog<x>cat <x>", "my cat dog cat",
]


def random_texts(count, seed):
    draw = random.Random(seed)
    texts = []
    for _ in range(count):
        hot = [draw.choice(RANGES) for _ in range(draw.choice([1, 2, 4]))]
        text = ""
        for _ in range(draw.randrange(40)):
            low, high = draw.choice(hot)
            point = draw.randint(low, high)
            text += "a" if 0xD800 <= point <= 0xDFFF else chr(point)
            if draw.random() < 0.1:
                text += draw.choice([" ", "'s", "cat ", "THE "])
        texts.append(text)
    return texts


def ids_of(tokenizer, text):
    # Padding repeats an id that the text can end in too, so the text is encoded once without it.
    used = tokenizer(text, truncation=True)["input_ids"]
    padded = tokenizer(text, truncation=True, padding="max_length")["input_ids"]
    assert padded[: len(used)] == used and set(padded[len(used):]) <= {tokenizer.pad_token_id}
    return used


def cases_of(tokenizer, texts, byte_texts=()):
    cases = [{"text": text, "ids": ids_of(tokenizer, text)} for text in texts]
    cases += [{"hex": b.hex(), "ids": ids_of(tokenizer, b.decode("utf-8", "replace"))} for b in byte_texts]
    return {"max_length": tokenizer.model_max_length, "padding": tokenizer.pad_token_id, "cases": cases}


def open_with(folder, files):
    """The tokenizer of folder with other configuration files."""
    with tempfile.TemporaryDirectory() as name:
        for file in ("vocab.json", "merges.txt"):
            Path(name, file).write_bytes(Path(folder, file).read_bytes())
        for file, content in files.items():
            Path(name, file).write_text(json.dumps(content))
        return CLIPTokenizer.from_pretrained(name)


def token(content, **flags):
    return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False, **flags}


def typed(content, **flags):
    return {"__type": "AddedToken", **token(content, **flags)}


def variants():
    config = json.loads((EMOJI / "tokenizer_config.json").read_text())
    vocabulary = json.loads((EMOJI / "vocab.json").read_text())
    start, end = vocabulary[START], vocabulary[END]
    stable_diffusion = {"model_max_length": 77, "bos_token": typed(START), "eos_token": typed(END), "unk_token": typed(END),
                        "pad_token": END, "add_prefix_space": False, "errors": "replace", "do_lower_case": True,
                        "tokenizer_class": "CLIPTokenizer"}
    objects = {"bos_token": token(START), "eos_token": token(END), "unk_token": token(END), "pad_token": END}
    yield "stable diffusion 1", {"tokenizer_config.json": stable_diffusion, "special_tokens_map.json": objects}
    yield "stable diffusion 2", {"tokenizer_config.json": stable_diffusion,
                                 "special_tokens_map.json": {**objects, "pad_token": "!"}}
    yield "no limit given", {"tokenizer_config.json": {**config, "model_max_length": 40, "sep_token": None}}
    yield "list of added tokens", {
        "tokenizer_config.json": {**config, "pad_token": "!", "model_max_length": 77, "added_tokens_decoder": {
            str(end): {**token(END, normalized=False), "special": True}, str(start): {**token(START), "special": True},
            "0": {**token("!", normalized=False), "special": True}}},
        "special_tokens_map.json": {"pad_token": END}}
    yield "words as added tokens", {"tokenizer_config.json": {**config, "added_tokens_decoder": {
        "2048": {**token("<cat-toy>"), "special": False},
        "2050": {**token("  Dog ", lstrip=True, rstrip=True, single_word=True), "special": False},
        "2049": {**token("dog", single_word=True, rstrip=True, normalized=False), "special": False},
        str(end): {**token(END), "special": True}}}}
    yield "added_tokens.json", {
        "tokenizer_config.json": config, "added_tokens.json": {"<Cat-Toy>": 2048, "<cat-toy>2": 2049, END: end},
        "special_tokens_map.json": {"bos_token": START, "eos_token": token(END, lstrip=True, rstrip=True)}}
    yield "more special tokens", {"tokenizer_config.json": {
        **config, "additional_special_tokens": ["<x>", "<X>y", typed("<z>", lstrip=True, special=True)],
        "image_token": "<img>", "mask_token": "<mask>"}}
    yield "white space taken along", {"tokenizer_config.json": {**config, "added_tokens_decoder": {
        "2048": {**token("<x>", lstrip=True, rstrip=True, normalized=False), "special": False},
        "2049": {**token(" dog"), "special": False}, "2050": {**token("cat "), "special": False}}}}
    yield "special tokens are text", {"tokenizer_config.json": {**config, "split_special_tokens": True}}


def whole_merges(gz):
    lines = gzip.open(gz).read().decode().split("\n")
    return [tuple(line.split()) for line in lines[1:49152 - 256 - 2 + 1]]


def byte_letters():
    order = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in order]
    others = [b for b in range(256) if b not in order]
    return letters + [chr(256 + i) for i in range(len(others))]


def reduce(tokenizer, merges, texts):
    """
    The merges that can ever be chosen among while texts are encoded. Byte pair encoding looks at nothing
    but the pairs of neighbours that are merges, so with these alone, in the same order, every step and
    with it every id is the same. Ids are kept.
    """
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    needed = set()
    backend = tokenizer.backend_tokenizer
    pieces = set()
    for text in texts:
        # Normalizing twice changes nothing; the names of special tokens are left in, which adds merges.
        normal = backend.normalizer.normalize_str(text)
        for part in [normal, *normal.split(END), *normal.split(START)]:
            pieces.update(piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(part))
    for piece in pieces:
        word = [*piece[:-1], piece[-1] + "</w>"]
        while True:
            found = [(ranks[pair], i) for i, pair in enumerate(zip(word, word[1:])) if pair in ranks]
            needed.update(merges[rank] for rank, _ in found)
            if not found:
                break
            _, i = min(found)
            word[i:i + 2] = [word[i] + word[i + 1]]
    return [pair for pair in merges if pair in needed]


def write(name, content):
    text = json.dumps(content, separators=(",", ":"), indent=None)
    (OUT / name).write_text(text.replace('{"text"', '\n{"text"').replace('{"hex"', '\n{"hex"') + "\n")


def write_clip(gz):
    merges = whole_merges(gz)
    letters = byte_letters()
    words = letters + [x + "</w>" for x in letters] + ["".join(pair) for pair in merges] + [START, END]
    ids = {word: i for i, word in enumerate(words)}
    files = {"tokenizer_config.json": {"model_max_length": 512, "bos_token": START, "eos_token": END, "pad_token": END,
                                       "unk_token": END, "tokenizer_class": "CLIPTokenizer"}}
    with tempfile.TemporaryDirectory() as name:
        Path(name, "vocab.json").write_text(json.dumps(ids))
        Path(name, "merges.txt").write_text("#version: 0.2\n" + "\n".join(map(" ".join, merges)) + "\n")
        tokenizer = open_with(name, files)
    texts = TEXTS + random_texts(60, 2)
    goldens = cases_of(tokenizer, texts, BYTES)
    kept = reduce(tokenizer, merges, texts + [b.decode("utf-8", "replace") for b in BYTES])
    wanted = {*words[:512], START, END} | {part for pair in kept for part in (*pair, "".join(pair))}
    folder = OUT / "clip"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({w: i for w, i in ids.items() if w in wanted}, separators=(",", ":")))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(map(" ".join, kept)) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(files["tokenizer_config.json"]) + "\n")
    assert cases_of(CLIPTokenizer.from_pretrained(folder), texts, BYTES) == goldens
    write("clip.json", goldens)
    print(f"{len(kept)} merges of {len(merges)}")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    config = json.loads((EMOJI / "tokenizer_config.json").read_text())
    long = {"tokenizer_config.json": {**config, "model_max_length": 512}}
    write("emoji.json", {
        "own": cases_of(CLIPTokenizer.from_pretrained(EMOJI), TEXTS, BYTES),
        "long": cases_of(open_with(EMOJI, long), TEXTS + random_texts(200, 1), BYTES)})
    write("variants.json", [
        {"name": name, "files": {file: json.dumps(content) for file, content in files.items()},
         **cases_of(open_with(EMOJI, copy.deepcopy(files)), VARIANT_TEXTS)} for name, files in variants()])
    write_clip(sys.argv[1])


if __name__ == "__main__":
    main()
