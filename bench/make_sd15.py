"""Writes a model folder of Stable Diffusion 1.5's shape with seeded random weights, for timing at full size.

    python3 bench/make_sd15.py --dtype f16 --output sd15-f16 [--bpe bpe_simple_vocab_16e6.txt.gz]

Names, shapes and configurations are those that diffusers and transformers save. Weights are normal with deviation
1/sqrt(fan in), so that activations stay of the order of one; the pictures mean nothing. Needs numpy alone, 3.3 GB of
disk for f32 and half of that for f16. By hand; nothing that is built or tested needs it.
"""
import argparse
import gzip
import json
import pathlib
import zlib

import numpy

N_WORDS, N_POSITIONS = 49408, 77
UNET_LEVELS = (320, 640, 1280, 1280)
VAE_LEVELS = (128, 256, 512, 512)
TEXT_WIDTH, TEXT_LAYERS = 768, 12
# Deviation of what a branch adds to its residual stream, beside what is there.
BRANCH = 0.3


class Shapes(dict):
    """Tensor names to (shape, scale of the deviation), under prefixes that read like the modules."""

    def conv(self, name, c_in, c_out, size, scale=1.0):
        self[name + ".weight"] = ((c_out, c_in, size, size), scale)
        self[name + ".bias"] = ((c_out,), scale)

    def linear(self, name, c_in, c_out, bias=True, scale=1.0):
        self[name + ".weight"] = ((c_out, c_in), scale)
        if bias:
            self[name + ".bias"] = ((c_out,), scale)

    def norm(self, name, channels):
        self[name + ".weight"] = ((channels,), "norm")
        self[name + ".bias"] = ((channels,), 1.0)

    def table(self, name, rows, width):
        self[name + ".weight"] = ((rows, width), "table")


def resnet(s, name, c_in, c_out, time=0):
    s.norm(f"{name}.norm1", c_in)
    s.conv(f"{name}.conv1", c_in, c_out, 3)
    if time:
        s.linear(f"{name}.time_emb_proj", time, c_out)
    s.norm(f"{name}.norm2", c_out)
    s.conv(f"{name}.conv2", c_out, c_out, 3, scale=BRANCH)
    if c_in != c_out:
        s.conv(f"{name}.conv_shortcut", c_in, c_out, 1)


def transformer(s, name, channels, context):
    s.norm(f"{name}.norm", channels)
    s.conv(f"{name}.proj_in", channels, channels, 1)
    block = f"{name}.transformer_blocks.0"
    for i, width in ((1, channels), (2, context)):
        s.norm(f"{block}.norm{i}", channels)
        s.linear(f"{block}.attn{i}.to_q", channels, channels, bias=False)
        s.linear(f"{block}.attn{i}.to_k", width, channels, bias=False)
        s.linear(f"{block}.attn{i}.to_v", width, channels, bias=False)
        s.linear(f"{block}.attn{i}.to_out.0", channels, channels, scale=BRANCH)
    s.norm(f"{block}.norm3", channels)
    s.linear(f"{block}.ff.net.0.proj", channels, 8 * channels)
    s.linear(f"{block}.ff.net.2", 4 * channels, channels, scale=BRANCH)
    s.conv(f"{name}.proj_out", channels, channels, 1, scale=BRANCH)


def unet():
    s = Shapes()
    time, last = 4 * UNET_LEVELS[0], len(UNET_LEVELS) - 1
    s.conv("conv_in", 4, UNET_LEVELS[0], 3)
    s.linear("time_embedding.linear_1", UNET_LEVELS[0], time)
    s.linear("time_embedding.linear_2", time, time)
    skips, channels = [UNET_LEVELS[0]], UNET_LEVELS[0]
    for i, width in enumerate(UNET_LEVELS):
        for j in range(2):
            resnet(s, f"down_blocks.{i}.resnets.{j}", channels, width, time)
            if i < last:
                transformer(s, f"down_blocks.{i}.attentions.{j}", width, TEXT_WIDTH)
            channels = width
            skips.append(channels)
        if i < last:
            s.conv(f"down_blocks.{i}.downsamplers.0.conv", channels, channels, 3)
            skips.append(channels)
    resnet(s, "mid_block.resnets.0", channels, channels, time)
    transformer(s, "mid_block.attentions.0", channels, TEXT_WIDTH)
    resnet(s, "mid_block.resnets.1", channels, channels, time)
    for i, width in enumerate(reversed(UNET_LEVELS)):
        for j in range(3):
            resnet(s, f"up_blocks.{i}.resnets.{j}", channels + skips.pop(), width, time)
            if i > 0:
                transformer(s, f"up_blocks.{i}.attentions.{j}", width, TEXT_WIDTH)
            channels = width
        if i < last:
            s.conv(f"up_blocks.{i}.upsamplers.0.conv", channels, channels, 3)
    s.norm("conv_norm_out", channels)
    s.conv("conv_out", channels, 4, 3)
    return s


def vae_middle(s, name, channels):
    resnet(s, f"{name}.resnets.0", channels, channels)
    s.norm(f"{name}.attentions.0.group_norm", channels)
    for part in ("to_q", "to_k", "to_v"):
        s.linear(f"{name}.attentions.0.{part}", channels, channels)
    s.linear(f"{name}.attentions.0.to_out.0", channels, channels, scale=BRANCH)
    resnet(s, f"{name}.resnets.1", channels, channels)


def vae():
    s = Shapes()
    last = len(VAE_LEVELS) - 1
    s.conv("encoder.conv_in", 3, VAE_LEVELS[0], 3)
    channels = VAE_LEVELS[0]
    for i, width in enumerate(VAE_LEVELS):
        for j in range(2):
            resnet(s, f"encoder.down_blocks.{i}.resnets.{j}", channels, width)
            channels = width
        if i < last:
            s.conv(f"encoder.down_blocks.{i}.downsamplers.0.conv", channels, channels, 3)
    vae_middle(s, "encoder.mid_block", channels)
    s.norm("encoder.conv_norm_out", channels)
    s.conv("encoder.conv_out", channels, 8, 3)
    s.conv("quant_conv", 8, 8, 1)
    s.conv("post_quant_conv", 4, 4, 1)
    s.conv("decoder.conv_in", 4, channels, 3)
    vae_middle(s, "decoder.mid_block", channels)
    for i, width in enumerate(reversed(VAE_LEVELS)):
        for j in range(3):
            resnet(s, f"decoder.up_blocks.{i}.resnets.{j}", channels, width)
            channels = width
        if i < last:
            s.conv(f"decoder.up_blocks.{i}.upsamplers.0.conv", channels, channels, 3)
    s.norm("decoder.conv_norm_out", channels)
    s.conv("decoder.conv_out", channels, 3, 3)
    return s


def text_encoder():
    s = Shapes()
    s.table("text_model.embeddings.token_embedding", N_WORDS, TEXT_WIDTH)
    s.table("text_model.embeddings.position_embedding", N_POSITIONS, TEXT_WIDTH)
    for i in range(TEXT_LAYERS):
        layer = f"text_model.encoder.layers.{i}"
        s.norm(f"{layer}.layer_norm1", TEXT_WIDTH)
        for part in ("q_proj", "k_proj", "v_proj"):
            s.linear(f"{layer}.self_attn.{part}", TEXT_WIDTH, TEXT_WIDTH)
        s.linear(f"{layer}.self_attn.out_proj", TEXT_WIDTH, TEXT_WIDTH, scale=BRANCH)
        s.norm(f"{layer}.layer_norm2", TEXT_WIDTH)
        s.linear(f"{layer}.mlp.fc1", TEXT_WIDTH, 4 * TEXT_WIDTH)
        s.linear(f"{layer}.mlp.fc2", 4 * TEXT_WIDTH, TEXT_WIDTH, scale=BRANCH)
    s.norm("text_model.final_layer_norm", TEXT_WIDTH)
    return s


def values(name, shape, scale, dtype, seed):
    """One tensor, the same whatever else is in the file."""
    random = numpy.random.default_rng((seed, zlib.crc32(name.encode())))
    x = random.standard_normal(shape, dtype=numpy.float32)
    if scale == "norm":
        x = 1 + 0.1 * x
    elif scale == "table":
        x *= 0.5
    elif len(shape) == 1:
        x *= 0.05 * scale
    else:
        x *= scale / numpy.sqrt(numpy.prod(shape[1:]))
    return x.astype(dtype)


def write_weights(path, shapes, dtype, seed):
    """A safetensors file, a tensor at a time: the length of the header, the header as JSON, the numbers."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name in sorted(shapes):
        begin, end = end, end + int(numpy.prod(shapes[name][0])) * dtype.itemsize
        header[name] = {"dtype": "F16" if dtype.itemsize == 2 else "F32", "shape": shapes[name][0],
                        "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for name in sorted(shapes):
            out.write(values(name, *shapes[name], dtype, seed).tobytes())
    print(f"{path}: {end / 1e6:.0f} MB, {len(shapes)} tensors")


def byte_letters():
    """CLIP's letters, one for each byte, in the order of its vocabulary: printable ones stand for themselves."""
    shown = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) for byte in shown] + [chr(256 + i) for i in range(len(hidden))]


def write_tokenizer(folder, bpe):
    letters = byte_letters()
    words = letters + [letter + "</w>" for letter in letters]
    n_merges = N_WORDS - len(words) - 2
    merges = []
    if bpe:
        merges = gzip.open(bpe, "rt", encoding="utf-8").read().split("\n")[1:n_merges + 1]
        words += ["".join(merge.split()) for merge in merges]
    words += [f"filler{i}</w>" for i in range(N_WORDS - len(words) - 2)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>",
               "unk_token": "<|endoftext|>"}
    write_json(folder / "vocab.json", {word: i for i, word in enumerate(words)})
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    write_json(folder / "special_tokens_map.json", special)
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "CLIPTokenizer", "do_lower_case": True,
                                                  "model_max_length": N_POSITIONS, **special})


UNET_CONFIG = {
    "_class_name": "UNet2DConditionModel", "act_fn": "silu", "attention_head_dim": 8,
    "block_out_channels": UNET_LEVELS, "center_input_sample": False, "cross_attention_dim": TEXT_WIDTH,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"], "downsample_padding": 1,
    "flip_sin_to_cos": True, "freq_shift": 0, "in_channels": 4, "layers_per_block": 2, "mid_block_scale_factor": 1,
    "norm_eps": 1e-05, "norm_num_groups": 32, "out_channels": 4, "sample_size": 64,
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
}
VAE_CONFIG = {
    "_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": VAE_LEVELS,
    "down_block_types": ["DownEncoderBlock2D"] * 4, "in_channels": 3, "latent_channels": 4, "layers_per_block": 2,
    "norm_num_groups": 32, "out_channels": 3, "sample_size": 512, "scaling_factor": 0.18215,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
TEXT_CONFIG = {
    "architectures": ["CLIPTextModel"], "attention_dropout": 0.0, "bos_token_id": 0, "dropout": 0.0,
    "eos_token_id": 2, "hidden_act": "quick_gelu", "hidden_size": TEXT_WIDTH, "initializer_factor": 1.0,
    "initializer_range": 0.02, "intermediate_size": 4 * TEXT_WIDTH, "layer_norm_eps": 1e-05,
    "max_position_embeddings": N_POSITIONS, "model_type": "clip_text_model", "num_attention_heads": 12,
    "num_hidden_layers": TEXT_LAYERS, "pad_token_id": 1, "projection_dim": 768, "vocab_size": N_WORDS,
}
SCHEDULER_CONFIG = {
    "_class_name": "DDIMScheduler", "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085,
    "clip_sample": False, "num_train_timesteps": 1000, "prediction_type": "epsilon", "set_alpha_to_one": False,
    "steps_offset": 1, "trained_betas": None,
}
INDEX = {
    "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.42.1", "feature_extractor": [None, None],
    "image_encoder": [None, None], "requires_safety_checker": False, "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
COMPONENTS = (
    ("unet", UNET_CONFIG, unet, "diffusion_pytorch_model.safetensors"),
    ("vae", VAE_CONFIG, vae, "diffusion_pytorch_model.safetensors"),
    ("text_encoder", TEXT_CONFIG, text_encoder, "model.safetensors"),
)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", required=True, type=pathlib.Path, help="folder to write")
    parser.add_argument("--dtype", choices=("f32", "f16"), default="f16", help="of the weights (default f16)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bpe", help="bpe_simple_vocab_16e6.txt.gz of the package open_clip_torch: CLIP's own words; "
                                      "without it a text is spelt letter by letter")
    given = parser.parse_args()
    dtype = numpy.dtype(numpy.float16 if given.dtype == "f16" else numpy.float32)
    for name in ("unet", "vae", "text_encoder", "tokenizer", "scheduler"):
        (given.output / name).mkdir(parents=True, exist_ok=True)
    for name, config, shapes, file in COMPONENTS:
        config = {"_diffusers_version": "0.42.1", **config} if "_class_name" in config else config
        write_json(given.output / name / "config.json", config)
        write_weights(given.output / name / file, shapes(), dtype, given.seed)
    write_tokenizer(given.output / "tokenizer", given.bpe)
    write_json(given.output / "scheduler" / "scheduler_config.json", SCHEDULER_CONFIG)
    write_json(given.output / "model_index.json", INDEX)


if __name__ == "__main__":
    main()
