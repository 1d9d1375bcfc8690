"""Makes a whole pipeline with random weights, small enough to draw in milliseconds, for tests of errors.

Usage: make_tiny_pipeline.py OUTPUT_FOLDER

Writes the diffusers folder OUTPUT_FOLDER (tests/data/pipelines/tiny), golden.png, a picture drawn with it (see
main), and run/COMPONENT.in.safetensors with the component's answer, run/COMPONENT.out.safetensors. Its configuration differs from the emoji model's wherever the classes allow it: linear
projections, head counts a level, v-prediction, trailing spacing, f32 weights, a U-Net in two shards. Versions:
requirements.txt.
"""
import json
import pathlib
import sys

import safetensors.torch
import torch
from diffusers import (AutoencoderKL, EulerDiscreteScheduler, StableDiffusionPipeline,
                       UNet2DConditionModel)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

MERGES = ["a p", "ap p", "l e</w>", "app le</w>", "r e", "re d</w>", "t i", "ti n", "tin y</w>"]


def byte_letters():
    """The letters that stand for the 256 bytes, in the order of CLIP's vocabulary."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in kept]
    return [chr(byte) for byte in kept] + [chr(256 + i) for i in range(len(rest))]


def write_tokenizer(folder):
    folder.mkdir(parents=True)
    letters = byte_letters()
    words = letters + [letter + "</w>" for letter in letters]
    words += [merge.replace(" ", "") for merge in MERGES] + ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: i for i, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, separators=(",", ":")) + "\n")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES]) + "\n")
    end = "<|endoftext|>"
    (folder / "tokenizer_config.json").write_text(json.dumps(dict(
        model_max_length=12, tokenizer_class="CLIPTokenizer", bos_token="<|startoftext|>",
        eos_token=end, pad_token=end, unk_token=end, do_lower_case=True)) + "\n")
    return len(words)


def make_models(n_words):
    torch.manual_seed(3)
    text_encoder = CLIPTextModel(CLIPTextConfig(
        vocab_size=n_words, hidden_size=8, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=12, hidden_act="gelu", projection_dim=8,
        bos_token_id=n_words - 2, eos_token_id=n_words - 1, pad_token_id=n_words - 1))
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, cross_attention_dim=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=(1, 2),
        norm_num_groups=4, use_linear_projection=True)
    vae = AutoencoderKL(
        block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        sample_size=16, scaling_factor=0.5)
    for module in [*text_encoder.modules(), *unet.modules(), *vae.modules()]:
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Embedding)):
            # Larger than the classes' own start, so that each weight shows in the picture.
            torch.nn.init.normal_(module.weight, std=1.5 * module.weight[0].numel() ** -0.5)
    torch.nn.init.normal_(vae.decoder.conv_out.weight, std=0.15)
    return text_encoder, unet, vae


def write_runs(folder, text_encoder, unet, vae):
    """What `sfumato run` is given and must answer, at odd sizes and batches."""
    torch.manual_seed(4)
    ids = torch.randint(0, 523, (2, 12))
    ids[:, -1] = 522
    runs = dict(
        text_encoder=dict(input_ids=ids),
        unet=dict(sample=torch.randn(2, 4, 5, 6), timestep=torch.tensor([7.0, 903.5]),
                  encoder_hidden_states=torch.randn(2, 3, 8)),
        vae_decoder=dict(sample=torch.randn(2, 4, 3, 5)),
        vae_encoder=dict(sample=torch.rand(1, 3, 10, 6) * 2 - 1))
    with torch.no_grad():
        text = text_encoder(**runs["text_encoder"], output_hidden_states=True)
        moments = vae.encode(**{"x": runs["vae_encoder"]["sample"]}).latent_dist
        answers = dict(
            text_encoder=dict(last_hidden_state=text.last_hidden_state,
                              pooler_output=text.pooler_output,
                              **{f"hidden_states.{i}": state
                                 for i, state in enumerate(text.hidden_states)}),
            unet=dict(sample=unet(**runs["unet"]).sample),
            vae_decoder=dict(sample=vae.decode(runs["vae_decoder"]["sample"]).sample),
            vae_encoder=dict(mean=moments.mean, logvar=moments.logvar))
    folder.mkdir()
    for name in runs:
        for end, tensors in (("in", runs[name]), ("out", answers[name])):
            tensors = {key: tensor.contiguous().clone() for key, tensor in tensors.items()}
            safetensors.torch.save_file(tensors, folder / f"{name}.{end}.safetensors")


def main():
    output = pathlib.Path(sys.argv[1])
    n_words = write_tokenizer(output / "tokenizer")
    text_encoder, unet, vae = make_models(n_words)
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
        prediction_type="v_prediction", timestep_spacing="trailing")
    tokenizer = CLIPTokenizer.from_pretrained(output / "tokenizer")
    pipe = StableDiffusionPipeline(
        vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False).to("cpu")
    for name in ("text_encoder", "vae", "scheduler"):
        getattr(pipe, name).save_pretrained(output / name)
    unet.save_pretrained(output / "unet", max_shard_size="150KB")
    index = dict(_class_name="StableDiffusionPipeline", _diffusers_version="0.42.1",
                 scheduler=["diffusers", "EulerDiscreteScheduler"],
                 text_encoder=["transformers", "CLIPTextModel"],
                 tokenizer=["transformers", "CLIPTokenizer"],
                 unet=["diffusers", "UNet2DConditionModel"], vae=["diffusers", "AutoencoderKL"])
    write_runs(output / "run", text_encoder, unet, vae)
    (output / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    pipe.set_progress_bar_config(disable=True)
    image = pipe("a tiny red apple", num_inference_steps=4, guidance_scale=3.0,
                 generator=torch.Generator("cpu").manual_seed(9)).images[0]
    image.save(output / "golden.png", optimize=True)


if __name__ == "__main__":
    main()
