"""Prints the tables of doc/gpu.md, "Speed on paper": U-Net evaluations on devices known by their data sheets.

    python3 bench/paper.py --sfumato build/sfumato --backend cuda [--precision f16]

Needs neither weights nor a device, only the plugin. The configurations are those of Stable Diffusion 1.5 and
Stable Diffusion XL. By hand; nothing that is built or tested needs it.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

from make_sd15 import UNET_CONFIG as SD15

SDXL = {
    "_class_name": "UNet2DConditionModel", "act_fn": "silu", "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256, "attention_head_dim": [5, 10, 20], "block_out_channels": [320, 640, 1280],
    "cross_attention_dim": 2048, "down_block_types": ["DownBlock2D"] + ["CrossAttnDownBlock2D"] * 2,
    "in_channels": 4, "layers_per_block": 2, "norm_eps": 1e-05, "norm_num_groups": 32, "out_channels": 4,
    "projection_class_embeddings_input_dim": 2816, "sample_size": 128, "transformer_layers_per_block": [1, 2, 10],
    "up_block_types": ["CrossAttnUpBlock2D"] * 2 + ["UpBlock2D"], "use_linear_projection": True,
}
MODELS = {"SD 1.5": SD15, "SDXL": SDXL}
SIZES = (512, 1024)
DEVICES = ("rtx-4090", "a100", "rx-7900-xtx")


def estimate(given, config, size, device):
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "config.json").write_text(json.dumps(config), encoding="utf-8")
        command = [given.sfumato, "bench", "--model", folder, "--component", "unet", "--backend", given.backend,
                   "--precision", given.precision, "--batch", str(given.batch), "--size", str(size), "--roofline",
                   device, "--json"]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def cell(result):
    roofline = result["roofline"]
    shares = roofline["share_bound_by"]
    percents = "/".join(f"{100 * shares[limit]:.0f}" for limit in ("launch", "memory", "compute"))
    return f"{1e3 * roofline['seconds']:.1f} ({percents})"


def print_times(given):
    print("| | launches | TFLOP | GB | " + " | ".join(DEVICES) + " |")
    print("|---|" + "---|" * (3 + len(DEVICES)))
    for name, config in MODELS.items():
        for size in SIZES:
            results = [estimate(given, config, size, device) for device in DEVICES]
            work = results[0]["roofline"]
            if results[0]["n_fallback_ops"]:
                raise SystemExit(f"{results[0]['n_fallback_ops']} ops are not on {given.backend}")
            print(f"| {name}, {size}x{size} | {work['n_launches']} | {1e-12 * work['flop']:.2f} | "
                  f"{1e-9 * work['bytes']:.2f} | " + " | ".join(cell(result) for result in results) + " |")


def print_kinds(given):
    """SD 1.5 at 512x512, by kind of op."""
    columns = [{row["op"]: row for row in estimate(given, SD15, 512, device)["roofline"]["ops"]}
               for device in DEVICES]
    print("| | steps | launches | " + " | ".join(DEVICES) + " |")
    print("|---|" + "---|" * (2 + len(DEVICES)))
    for op, row in columns[0].items():
        cells = [f"{1e3 * column[op]['seconds']:.2f} {column[op]['bound']}" for column in columns]
        print(f"| {op} | {row['n_steps']} | {row['n_launches']} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sfumato", required=True, help="the command")
    parser.add_argument("--backend", required=True, help="the plugin whose launches and bytes are counted")
    parser.add_argument("--precision", choices=("f32", "f16", "bf16"), default="f16", help="default f16")
    parser.add_argument("--batch", type=int, default=1)
    given = parser.parse_args()
    print_times(given)
    print()
    print_kinds(given)


if __name__ == "__main__":
    main()
