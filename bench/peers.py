"""Times Sfumato beside PyTorch + diffusers, OpenVINO and stable-diffusion.cpp on one model folder.

    python bench/make_sd15.py --dtype f16 --output sd15-f16
    python bench/peers.py --model sd15-f16 --sfumato build/sfumato --threads 2 --openvino-cache ir --sd-cpp sd-cli

One U-Net evaluation (batch 1), one decoding by the autoencoder, one text through the text encoder. Programs run in
turn, A B C A B C, each measurement in a process of its own: machines that others use change within minutes, so only
what was run in one go can be compared. What is not installed is left out with a line. bench/requirements.txt has the
versions; by hand, nothing that is built or tested needs it.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

COMPONENTS = ("unet", "vae_decoder", "text_encoder")
# Settings of a BLAS that must not reach the peers, which bring their own.
PRIVATE = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


# ---- in the measured process: PyTorch and OpenVINO ----

def load_module(model, component):
    """A module of diffusers or transformers in f32, as a function of tensors that gives one tensor."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    class Whole(torch.nn.Module):
        def __init__(self, inner, call):
            super().__init__()
            self.inner, self.call = inner, call

        def forward(self, *inputs):
            return self.call(self.inner, *inputs)

    if component == "unet":
        inner = UNet2DConditionModel.from_pretrained(model, subfolder="unet", torch_dtype=torch.float32)
        return Whole(inner, lambda unet, x, t, text: unet(x, t, text, return_dict=False)[0]).eval()
    if component == "vae_decoder":
        inner = AutoencoderKL.from_pretrained(model, subfolder="vae", torch_dtype=torch.float32)
        return Whole(inner, lambda vae, z: vae.decode(z, return_dict=False)[0]).eval()
    inner = CLIPTextModel.from_pretrained(model, subfolder="text_encoder", torch_dtype=torch.float32)
    return Whole(inner, lambda clip, ids: clip(ids).last_hidden_state).eval()


def example_inputs(model, component, size):
    import torch
    generator = torch.Generator().manual_seed(1)
    text = json.loads((model / "text_encoder" / "config.json").read_text())
    levels = len(json.loads((model / "vae" / "config.json").read_text())["block_out_channels"])
    side = size // 2 ** (levels - 1)
    length, width = text["max_position_embeddings"], text["hidden_size"]
    if component == "text_encoder":
        return (torch.randint(0, text["vocab_size"], (1, length), generator=generator),)
    latents = torch.randn(1, 4, side, side, generator=generator)
    if component == "vae_decoder":
        return (latents,)
    return latents, torch.tensor([500.0]), torch.randn(1, length, width, generator=generator)


def since_start():
    """Seconds since the program that measures started this process."""
    return time.time() - float(os.environ["PEERS_STARTED"])


def timed(run, warmup, repeat):
    seconds = []
    for _ in range(warmup + repeat):
        begun = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begun)
    return seconds[warmup:]


def work_torch(given):
    import torch
    torch.set_num_threads(given.threads)
    dtype = torch.bfloat16 if given.precision == "bf16" else torch.float32
    module = load_module(given.model, given.component).to(dtype)
    inputs = [x.to(dtype) if x.is_floating_point() else x
              for x in example_inputs(given.model, given.component, given.size)]
    with torch.inference_mode():
        module(*inputs)
        first = since_start()
        if given.component != "text_encoder":
            # The faster of PyTorch's two layouts of images.
            plain = min(timed(lambda: module(*inputs), 0, 2))
            module = module.to(memory_format=torch.channels_last)
            last = min(timed(lambda: module(*inputs), 1, 2))
            if plain < last:
                module = module.to(memory_format=torch.contiguous_format)
        seconds = timed(lambda: module(*inputs), given.warmup, given.repeat)
    return {"seconds": seconds, "first": first}


def ir_path(given):
    return given.openvino_cache / f"{given.model.resolve().name}-{given.component}-{given.size}.xml"


def work_convert(given):
    """A component as OpenVINO's own file, with the shapes fixed."""
    import openvino
    import torch
    module, inputs = load_module(given.model, given.component), example_inputs(given.model, given.component, given.size)
    with torch.no_grad():
        converted = openvino.convert_model(module, example_input=inputs,
                                           input=[openvino.PartialShape(list(x.shape)) for x in inputs])
    given.openvino_cache.mkdir(parents=True, exist_ok=True)
    openvino.save_model(converted, ir_path(given), compress_to_fp16=True)
    return {}


def work_openvino(given):
    import numpy
    import openvino
    compiled = openvino.Core().compile_model(ir_path(given), "CPU", {
        "INFERENCE_PRECISION_HINT": given.precision, "INFERENCE_NUM_THREADS": given.threads, "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY"})
    random = numpy.random.default_rng(1)
    inputs = []
    for port in compiled.inputs:
        shape = tuple(port.shape)
        is_float = port.element_type.is_real()
        inputs.append(random.standard_normal(shape, dtype=numpy.float32) if is_float
                      else random.integers(0, 1000, shape))
    request = compiled.create_infer_request()
    request.infer(inputs)
    first = since_start()
    return {"seconds": timed(lambda: request.infer(inputs), given.warmup, given.repeat), "first": first}


WORKERS = {"torch": work_torch, "openvino": work_openvino, "convert": work_convert}


# ---- in the program that measures ----

class Failure(Exception):
    """What kept a program from being measured, in a line."""


def run(command, environment):
    """Runs a process: its stdout and stderr, and the most memory that it had resident, or this one if that is more."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(command, stdout=out, stderr=err, env=environment)
        except OSError as error:
            raise Failure(f"{command[0]}: {error.strerror}") from error
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
    if process.returncode != 0:
        lines = (texts[1].strip() or texts[0].strip()).splitlines()
        raise Failure(lines[-1] if lines else f"exit status {process.returncode}")
    return texts[0], texts[1], usage.ru_maxrss * 1024


def peer_environment():
    return {key: value for key, value in os.environ.items() if key not in PRIVATE}


def run_worker(worker, given, component, precision):
    command = [sys.executable, __file__, "--worker", worker, "--model", str(given.model), "--component", component,
               "--precision", precision, "--size", str(given.size), "--threads", str(given.threads), "--repeat",
               str(given.repeat), "--warmup", str(given.warmup), "--openvino-cache", str(given.openvino_cache)]
    out, _, peak = run(command, {**peer_environment(), "OMP_NUM_THREADS": str(given.threads),
                                  "PEERS_STARTED": repr(time.time())})
    return {**json.loads(out.strip().splitlines()[-1]), "peak": peak}


def measure_sfumato(given, component, precision):
    command = [given.sfumato, "bench", "--quiet", "--json", "--model", str(given.model), "--component", component,
               "--size", str(given.size), "--precision", precision, "--repeat", str(given.repeat), "--warmup",
               str(given.warmup)]
    if component == "text_encoder":
        command[command.index("--size"):command.index("--size") + 2] = []
    if given.backend:
        command += ["--backend", given.backend]
    out, _, _ = run(command, {**os.environ, "SFUMATO_THREADS": str(given.threads)})
    result = json.loads(out)
    return {"seconds": result["seconds"]["runs"], "first": result["time_to_first_result_seconds"],
            "peak": result["memory"]["peak_resident_bytes"], "flop": result["flop"], "backend": result["backend"]}


def measure_torch(given, component, precision):
    return run_worker("torch", given, component, precision)


def measure_openvino(given, component, precision):
    given.component = component
    if not ir_path(given).exists():
        print(f"# converting {component} for OpenVINO", file=sys.stderr)
        run_worker("convert", given, component, precision)
    return run_worker("openvino", given, component, precision)


SD_CPP_LINES = {
    "unet": r"sampling completed, taking ([0-9.]+)s",
    "vae_decoder": r"latent 1 decoded, taking ([0-9.]+)s",
    "text_encoder": r"get_learned_condition completed, taking ([0-9.]+)s",
}


def measure_sd_cpp(given, component, precision):
    """From the lines that it logs of a whole picture, to 10 ms; memory is that of all three components."""
    steps = given.repeat if component == "unet" else 1
    with tempfile.TemporaryDirectory() as folder:
        command = [given.sd_cpp, "--model", str(given.model), "--prompt", "a red apple", "--width", str(given.size),
                   "--height", str(given.size), "--steps", str(steps), "--cfg-scale", "1", "--sampling-method",
                   "euler", "--threads", str(given.threads), "--output", f"{folder}/picture.png",
                   *given.sd_cpp_arguments.split()]
        out, err, peak = run(command, peer_environment())
    found = re.search(SD_CPP_LINES[component], out + err)
    if not found:
        raise Failure(f"it logged no line of {component}")
    seconds = float(found.group(1)) / (steps if component == "unet" else 1)
    return {"seconds": [seconds], "first": None, "peak": peak}


def machine():
    name = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    sets = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16") if f" {flag} " in flags]
    return f"{name}, {os.cpu_count()} CPUs ({', '.join(sets)}), load {os.getloadavg()[0]:.2f}"


def version_of(package):
    from importlib.metadata import PackageNotFoundError, version
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def find_peers(given):
    """(name, precision, function) of all that can be measured; a line for each that can't."""
    precisions = ["f32", "bf16"] if given.bf16 else ["f32"]
    peers = []
    if given.sfumato:
        peers += [("sfumato", precision, measure_sfumato) for precision in precisions]
    packages = {"torch": ("torch", "diffusers", "transformers"), "openvino": ("openvino", "torch", "diffusers")}
    for name, measure in (("torch", measure_torch), ("openvino", measure_openvino)):
        missing = [package for package in packages[name] if not version_of(package)]
        if name not in given.peers.split(","):
            continue
        if missing:
            print(f"# {name} is left out: {', '.join(missing)} not installed")
        else:
            print("# " + ", ".join(f"{package} {version_of(package)}" for package in packages[name]))
            peers += [(name, precision, measure) for precision in precisions]
    if given.sd_cpp:
        peers.append(("sd.cpp", "f32", measure_sd_cpp))
    else:
        print("# stable-diffusion.cpp is left out: --sd-cpp gives its program sd-cli")
    return peers


def measure_all(given, peers, component):
    """All rounds of a component: results by (name, precision)."""
    results = {}
    failed = set()
    for _ in range(given.rounds):
        for name, precision, measure in peers:
            key = (name, precision)
            if key in failed:
                continue
            try:
                result = measure(given, component, precision)
            except Failure as failure:
                print(f"# {component}: {name} {precision} is left out: {failure}")
                failed.add(key)
                continue
            whole = results.setdefault(key, {**result, "seconds": []})
            whole["seconds"] += result["seconds"]
            whole["peak"] = max(whole["peak"], result["peak"])
    return results


def print_table(component, results):
    """Times, and Sfumato's time by the peer's, each at its precision: below 1 Sfumato is faster."""
    print(f"\n{component}\n")
    print("| program | precision | median s | min s | runs | Sfumato / it | first result s | peak MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for (name, precision), result in results.items():
        median = statistics.median(result["seconds"])
        ours = results.get(("sfumato", precision))
        ratio = statistics.median(ours["seconds"]) / median if ours and name != "sfumato" else None
        if name == "sfumato":
            name = f"sfumato ({result['backend']}), {result['flop'] / median / 1e9:.0f} GFLOP/s"
        first = f"{result['first']:.2f}" if result["first"] is not None else ""
        print(f"| {name} | {precision} | {median:.3f} | {min(result['seconds']):.3f} | {len(result['seconds'])} | "
              f"{f'{ratio:.2f}' if ratio else ''} | {first} | {result['peak'] / 2**20:.0f} |", flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=pathlib.Path, required=True, help="folder as make_sd15.py writes it")
    parser.add_argument("--sfumato", help="the command; left out without it")
    parser.add_argument("--backend", help="of Sfumato")
    parser.add_argument("--peers", default="torch,openvino", help="which packages (default torch,openvino)")
    parser.add_argument("--sd-cpp", help="stable-diffusion.cpp's program sd-cli")
    parser.add_argument("--sd-cpp-arguments", default="", help="more arguments for it, such as --diffusion-fa")
    parser.add_argument("--openvino-cache", type=pathlib.Path, help="folder for converted models (default: none kept)")
    parser.add_argument("--components", default=",".join(COMPONENTS))
    parser.add_argument("--bf16", action="store_true", help="in bf16 too")
    parser.add_argument("--size", type=int, default=512, help="pixels a side (default 512)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3, help="turns of all programs (default 3)")
    parser.add_argument("--repeat", type=int, default=3, help="timed runs a turn (default 3)")
    parser.add_argument("--warmup", type=int, default=1, help="runs before them, after the first (default 1)")
    parser.add_argument("--json", type=pathlib.Path, help="file for all times")
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    parser.add_argument("--component", help=argparse.SUPPRESS)
    parser.add_argument("--precision", default="f32", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    given = parse()
    if given.worker:
        print(json.dumps(WORKERS[given.worker](given)))
        return
    with tempfile.TemporaryDirectory() as folder:
        given.openvino_cache = given.openvino_cache or pathlib.Path(folder)
        print(f"# {machine()}; {given.threads} threads; {given.model.resolve().name}, {given.size}x{given.size}; "
              f"{given.rounds} rounds of {given.repeat} runs")
        peers = find_peers(given)
        everything = {}
        for component in given.components.split(","):
            results = measure_all(given, peers, component)
            print_table(component, results)
            everything[component] = {" ".join(key): result for key, result in results.items()}
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), "threads": given.threads, "results": everything},
                                         indent=2) + "\n")


if __name__ == "__main__":
    main()
