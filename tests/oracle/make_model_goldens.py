"""Goldens for the models: what diffusers and transformers compute, at small sizes.

    make_model_goldens.py    writes tests/data/models/CASE/

A case is a component's folder (config.json and weights, as save_pretrained() writes them or as older
programs did) with golden.safetensors beside: inputs as in.NAME, results as out.NAME, f32 on the CPU from the
weights as stored. The cases emoji_* have no weights: they are for the model in data/models/emoji. A folder of an
autoencoder has two goldens, golden_encoder and golden_decoder. Versions: requirements.txt.
"""
import inspect
import json
from pathlib import Path
import shutil

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "tests" / "data" / "models"
EMOJI = ROOT / "data" / "models" / "emoji"
F16, BF16, F32 = torch.float16, torch.bfloat16, torch.float32


# ---- random models ----

def randomize(model, seed):
    """Weights so large that each shows in the result, and norms that do something."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if weight.ndim >= 2:
            weight.data = noise * 1.2 * weight[0].numel() ** -0.5
        else:
            weight.data = noise * 0.2 + (1.0 if "norm" in name and "weight" in name else 0.0)
    return model.eval()


def set_type(model, dtype):
    """The model with weights rounded to dtype, in f32."""
    rounded = {name: value.to(dtype) for name, value in model.state_dict().items() if value.is_floating_point()}
    model.load_state_dict({name: value.float() for name, value in rounded.items()}, strict=False)
    return rounded


def write_config(model, folder, partial):
    """config.json as it is saved; partial: without the class's defaults, as people write it by hand."""
    model.save_config(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    if partial:
        default = {k: v.default for k, v in inspect.signature(type(model).__init__).parameters.items()}
        config = {k: v for k, v in config.items()
                  if k == "_class_name" or k not in default or json.loads(json.dumps(default[k])) != v}
        config = {k: v for k, v in config.items() if k not in ("_name_or_path", "_diffusers_version")}
    path.write_text(json.dumps(config, indent=1) + "\n")


def write_goldens(path, inputs, outputs):
    tensors = {f"in.{k}": v.detach().contiguous().clone() for k, v in inputs.items()}
    tensors |= {f"out.{k}": v.detach().contiguous().clone() for k, v in outputs.items()}
    save_file(tensors, path)


def new_folder(name):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def save_weights(weights, folder, name="diffusion_pytorch_model.safetensors"):
    save_file({k: v.contiguous() for k, v in weights.items()}, folder / name)


# ---- U-Nets ----

def call_unet(unet, inputs):
    """Our names for the inputs, handed to the module in its way."""
    given = dict(inputs)
    residuals = [given.pop(k) for k in list(given) if k.startswith("down_block_additional_residuals")]
    if residuals:
        given["down_block_additional_residuals"] = tuple(residuals)
    given["added_cond_kwargs"] = {k: given.pop(k) for k in ("text_embeds", "time_ids") if k in given}
    given.setdefault("encoder_hidden_states", None)
    with torch.no_grad():
        return unet(**given).sample


def unet_inputs(unet, n=2, height=5, width=6, seed=1, tokens=3):
    generator = torch.Generator().manual_seed(seed)
    config = unet.config

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    inputs = dict(sample=normal(n, config.in_channels, height, width),
                  timestep=torch.tensor([731.25, -3.5, 12.0])[:n])
    width = config.encoder_hid_dim or config.cross_attention_dim
    if width:
        inputs["encoder_hidden_states"] = normal(n, tokens, width)
    if config.class_embed_type == "timestep":
        inputs["class_labels"] = torch.tensor([3.0, 250.5, 1.0])[:n]
    elif config.class_embed_type == "identity":
        inputs["class_labels"] = normal(n, unet.time_embedding.linear_2.out_features)
    elif config.class_embed_type:
        inputs["class_labels"] = normal(n, config.projection_class_embeddings_input_dim)
    elif config.num_class_embeds:
        inputs["class_labels"] = torch.tensor([config.num_class_embeds - 1, 0, 1])[:n]
    if config.time_cond_proj_dim:
        inputs["timestep_cond"] = normal(n, config.time_cond_proj_dim)
    if config.addition_embed_type == "text_time":
        n_ids = 3
        inputs["text_embeds"] = normal(
            n, config.projection_class_embeddings_input_dim - n_ids * config.addition_time_embed_dim)
        inputs["time_ids"] = torch.tensor([[64.0, 48.0, 0.0], [32.0, 8.0, 5.0], [9.0, 9.0, 9.0]])[:n]
    return inputs


def control_inputs(unet, inputs, seed=5):
    """Adds the residuals of a ControlNet, whose shapes are those of the skip connections."""
    generator = torch.Generator().manual_seed(seed)
    shapes, hooks = [], []
    hooks.append(unet.conv_in.register_forward_hook(lambda m, i, o: shapes.append(o.shape)))
    for block in unet.down_blocks:
        hooks.append(block.register_forward_hook(lambda m, i, o: shapes.extend(x.shape for x in o[1])))
    call_unet(unet, inputs)
    for hook in hooks:
        hook.remove()
    more = {f"down_block_additional_residuals.{i}": torch.randn(shape, generator=generator)
            for i, shape in enumerate(shapes)}
    more["mid_block_additional_residual"] = torch.randn(shapes[-1], generator=generator)
    return inputs | more


CROSS = dict(down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
             up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))
SMALL = dict(block_out_channels=(4, 8), norm_num_groups=2, cross_attention_dim=6, layers_per_block=1,
             attention_head_dim=2, sample_size=8)

UNETS = {
    "unet_linear": dict(
        config=SMALL | CROSS | dict(use_linear_projection=True, attention_head_dim=(1, 4), layers_per_block=(1, 2),
                                    transformer_layers_per_block=(2, 1)),
        partial=True),
    "unet_heads": dict(
        config=SMALL | dict(
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=(1, 3),
            only_cross_attention=(False, True), norm_eps=1e-3, mid_block_type="UNetMidBlock2D", act_fn="gelu"),
        dtype=F16, variant="fp16", size=(1, 3, 7)),
    "unet_nested": dict(
        config=SMALL | CROSS | dict(
            down_block_types=("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2,
            transformer_layers_per_block=([1, 2], [1]), reverse_transformer_layers_per_block=([0, 1], [2, 1, 1]),
            layers_per_block=(2, 1), mid_block_type=None),
        dtype=BF16, shards="20KB"),
    "unet_sdxl": dict(
        config=SMALL | dict(
            block_out_channels=(4, 4, 8), down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2,
            up_block_types=("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",), transformer_layers_per_block=(1, 1, 2),
            attention_head_dim=(1, 2, 4), use_linear_projection=True, addition_embed_type="text_time",
            addition_time_embed_dim=5, projection_class_embeddings_input_dim=22),
        dtype=F16, size=(2, 7, 9)),
    "unet_class_table": dict(
        config=SMALL | CROSS | dict(num_class_embeds=5, class_embeddings_concat=True, time_embedding_dim=10,
                                    conv_in_kernel=1, conv_out_kernel=5), dtype=F16),
    "unet_class_timestep": dict(
        config=SMALL | CROSS | dict(
            class_embed_type="timestep", resnet_time_scale_shift="scale_shift", timestep_post_act="mish",
            time_cond_proj_dim=3, time_embedding_act_fn="silu", flip_sin_to_cos=False, freq_shift=1,
            act_fn="SiLU"), dtype=F16),
    "unet_class_projection": dict(
        config=SMALL | CROSS | dict(class_embed_type="projection", projection_class_embeddings_input_dim=7,
                                    act_fn="relu", downsample_padding=0, block_out_channels=(6, 8)),
        dtype=BF16),
    "unet_fourier": dict(
        config=SMALL | dict(
            block_out_channels=(4, 4), down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2,
            mid_block_type="UNetMidBlock2D", class_embed_type="identity", time_embedding_type="fourier",
            center_input_sample=True, in_channels=5, out_channels=3), dtype=F16),
    "unet_text": dict(
        config=SMALL | CROSS | dict(class_embed_type="simple_projection", projection_class_embeddings_input_dim=5,
                                    addition_embed_type="text", addition_embed_type_num_heads=4, encoder_hid_dim=8,
                                    block_out_channels=(5, 10), norm_num_groups=5, attention_head_dim=1),
        dtype=F16),
    "unet_resnet_size": dict(
        config=SMALL | dict(
            block_out_channels=(4, 4, 8),
            down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"), attention_head_dim=(2, 4, 3),
            resnet_skip_time_act=True, resnet_out_scale_factor=1.5, mid_block_scale_factor=1.25,
            mid_block_type="UNetMidBlock2D"), dtype=F16, size=(2, 8, 4)),
    "unet_control": dict(config=SMALL | CROSS | dict(mid_block_scale_factor=2.0), dtype=F16, control=True),
}


def make_unet(name, config, dtype=F32, partial=False, variant=None, shards=None, size=(2, 5, 6), control=False):
    folder = new_folder(name)
    unet = randomize(UNet2DConditionModel(**config), seed=len(name))
    weights = set_type(unet, dtype)
    if shards or variant:
        saved = UNet2DConditionModel.from_config(unet.config)
        saved.load_state_dict(weights, strict=False)
        saved.to(dtype).save_pretrained(folder, variant=variant, max_shard_size=shards or "10GB")
    else:
        save_weights(weights, folder)
    write_config(unet, folder, partial)
    inputs = unet_inputs(unet, *size)
    if control:
        inputs = control_inputs(unet, inputs)
    write_goldens(folder / "golden.safetensors", inputs, {"sample": call_unet(unet, inputs)})


# ---- autoencoders ----

OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

VAES = {
    "vae_attention": dict(
        config=dict(block_out_channels=(4, 6), layers_per_block=2, norm_num_groups=2, latent_channels=3,
                    down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
                    up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"), act_fn="mish",
                    use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.1), dtype=F16),
    "vae_plain": dict(
        config=dict(block_out_channels=(4, 4, 8), norm_num_groups=4, in_channels=2, out_channels=1,
                    down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
                    mid_block_add_attention=False, latents_mean=[0.0, 1.0, 2.0, 3.0],
                    latents_std=[1.0, 1.0, 2.0, 2.0]), dtype=BF16, partial=True),
    "vae_old_names": dict(
        config=dict(block_out_channels=(4, 4), norm_num_groups=2, layers_per_block=1,
                    down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2),
        old="linear"),
    "vae_old_convolutions": dict(
        config=dict(block_out_channels=(4,), norm_num_groups=1, latent_channels=2), old="convolution", partial=True),
}


def old_names(weights, kind):
    def rename(name):
        for new, old in OLD_NAMES.items():
            name = name.replace(f".{new}.", f".{old}.")
        return name

    renamed = {rename(name): value for name, value in weights.items()}
    if kind == "convolution":
        renamed = {name: value[:, :, None, None] if value.ndim == 2 else value for name, value in renamed.items()}
    return renamed


def vae_goldens(vae, folder, height, width, seed):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(2, vae.config.latent_channels, height, width, generator=generator)
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    picture = torch.rand(2, vae.config.in_channels, height * factor + 1, width * factor, generator=generator) * 2 - 1
    with torch.no_grad():
        write_goldens(folder / "golden_decoder.safetensors", {"sample": z}, {"sample": vae.decode(z).sample})
        latents = vae.encode(picture).latent_dist
        write_goldens(folder / "golden_encoder.safetensors", {"sample": picture},
                      {"mean": latents.mean, "logvar": latents.logvar})


def make_vae(name, config, dtype=F32, partial=False, old=None):
    folder = new_folder(name)
    vae = randomize(AutoencoderKL(**config), seed=len(name))
    weights = set_type(vae, dtype)
    save_weights(old_names(weights, old) if old else weights, folder)
    write_config(vae, folder, partial)
    vae_goldens(vae, folder, 3, 2, seed=3)


# ---- text encoders ----

CLIPS = {
    "clip_projection": dict(
        config=dict(vocab_size=20, hidden_size=12, intermediate_size=20, num_hidden_layers=2, num_attention_heads=3,
                    max_position_embeddings=9, hidden_act="gelu", projection_dim=7, eos_token_id=2,
                    bos_token_id=18, pad_token_id=19, layer_norm_eps=1e-4),
        projection=True, prefix=True),
    "clip_first_end": dict(
        config=dict(vocab_size=20, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1,
                    max_position_embeddings=8, hidden_act="quick_gelu", eos_token_id=19, bos_token_id=18,
                    pad_token_id=19),
        dtype=BF16),
}


def call_clip(model, ids):
    with torch.no_grad():
        result = model(ids, output_hidden_states=True)
    outputs = {"last_hidden_state": result.last_hidden_state}
    pooled = "text_embeds" if "text_embeds" in result else "pooler_output"
    outputs[pooled] = result[pooled]
    return outputs | {f"hidden_states.{i}": x for i, x in enumerate(result.hidden_states)}


def make_clip(name, config, dtype=F32, projection=False, prefix=False):
    folder = new_folder(name)
    model_class = CLIPTextModelWithProjection if projection else CLIPTextModel
    clip = randomize(model_class(CLIPTextConfig(**config)), seed=len(name))
    weights = set_type(clip, dtype)
    if prefix:  # as transformers 4 wrote it
        weights = {k if k.startswith("text_") else f"text_model.{k}": v for k, v in weights.items()}
        weights["text_model.embeddings.position_ids"] = torch.arange(config["max_position_embeddings"])[None]
    else:
        weights = {k.removeprefix("text_model."): v for k, v in weights.items()}
    save_weights(weights, folder, "model.safetensors")
    clip.config.architectures = [model_class.__name__]
    clip.config.to_json_file(folder / "config.json", use_diff=False)
    # One sequence with two end tokens, one without any; the largest id is not always an end token.
    ids = torch.tensor([[18, 4, 5, 19, 3, 19, 19], [18, 7, 17, 17, 1, 0, 2]])
    write_goldens(folder / "golden.safetensors", {"input_ids": ids}, call_clip(clip, ids))


# ---- the trained model ----

def make_emoji():
    generator = torch.Generator().manual_seed(8)

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    unet = UNet2DConditionModel.from_pretrained(EMOJI / "unet", torch_dtype=F16).float().eval()
    for name, (n, height, width) in {"emoji_unet": (1, 8, 8), "emoji_unet_odd": (2, 5, 7)}.items():
        inputs = dict(sample=normal(n, 4, height, width), timestep=torch.tensor([981.0, 20.5])[:n],
                      encoder_hidden_states=normal(n, 5, 128))
        if n == 1:
            inputs["timestep"] = inputs["timestep"][0]
        write_goldens(new_folder(name) / "golden.safetensors", inputs, {"sample": call_unet(unet, inputs)})
    vae = AutoencoderKL.from_pretrained(EMOJI / "vae", torch_dtype=F16).float().eval()
    vae_goldens(vae, new_folder("emoji_vae"), 3, 5, seed=4)
    clip = CLIPTextModel.from_pretrained(EMOJI / "text_encoder", dtype=F16).float().eval()
    ids = torch.tensor([[2046, 17, 250, 1999, 2047, 2047, 2047], [2046, 5, 1000, 1001, 1002, 30, 2047]])
    write_goldens(new_folder("emoji_clip") / "golden.safetensors", {"input_ids": ids}, call_clip(clip, ids))


def main():
    torch.set_num_threads(1)
    for name, case in UNETS.items():
        make_unet(name, **case)
    for name, case in VAES.items():
        make_vae(name, **case)
    for name, case in CLIPS.items():
        make_clip(name, **case)
    make_emoji()


if __name__ == "__main__":
    main()
