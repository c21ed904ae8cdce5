"""Every network at half its width, one training step each: python tests/benchmarks/widths.py RESULTS.jsonl [NAME ...]

Runs torchvision's 80 classification networks and 60 of timm (`networks`), or those that are named, each in a process of
its own with limits on time and memory. Results are appended to the file, one JSON object per line; networks that are in
it already are not run again. `--page` prints the results as Markdown, a section of docs/call-sites.md. Each network is
built twice:

- narrow: `leni.narrow` at one half; every group of channels has half as many.
- halved: `leni.swap` of LENI with `compression="none"`: the convolution before each site has half its filters, where
  the graph allows it.

A network passes if a training step (forward, backward, SGD) of it is finite and its outputs have the sizes that they
had, in training and in evaluation mode. The input is the smallest of `SIDES` that the network takes, two images.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import math
import multiprocessing
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import leni
from leni.errors import LeniSearchError
from leni.networks import default_input_size, load_network
from leni.recording import tensors_in
from leni.tracing import meta_copy, trace
from leni.widths.groups import channel_groups

SIDES = (64, 96, 128, 160)  # pixels; the network's own side comes last
SECONDS = 900  # of processor time, for one network
MEMORY = 10 * 2**30  # bytes, for one network
COMMAND = "python tests/benchmarks/widths.py widths.jsonl"
OUTPUT = "it is an output of the network"
TIMM = """
    res2net50_26w_4s skresnet18 mobilenetv3_small_100 ghostnet_100 cspresnet50
    resnet18 resnet26d resnetv2_50 seresnet50 ecaresnet26t resnest14d selecsls42b dla34 hrnet_w18_small cspdarknet53
    ese_vovnet19b_dw densenet121 dpn68 xception41 inception_v4 regnetx_002 regnety_002 repvgg_a0 nf_resnet26
    dm_nfnet_f0 eca_nfnet_l0 gernet_s vgg11_bn hgnetv2_b0 tresnet_m cs3darknet_s
    mobilenetv2_100 mobilenetv4_conv_small efficientnet_b0 tf_efficientnetv2_b0 mixnet_s rexnet_100 lcnet_050
    mobileone_s0 repvit_m0_9 fasternet_t0 starnet_s1 ghostnetv2_100 repghostnet_050
    convnext_atto convnextv2_atto edgenext_xx_small mobilevit_xxs mobilevitv2_050 halonet26t levit_128s poolformer_s12
    vit_tiny_patch16_224 swin_tiny_patch4_window7_224 mixer_s32_224 resmlp_12_224 pvt_v2_b0 efficientvit_b0
    inception_next_atto fastvit_t8
"""


def networks() -> list[str]:
    """Names of the networks, those of timm first."""
    models = importlib.import_module("torchvision.models")
    return [f"timm:{name}" for name in TIMM.split()] + [
        f"torchvision:{name}" for name in sorted(models.list_models(models))
    ]


def built(name: str) -> nn.Module:
    """The network; GoogLeNet and Inception without their initialisation, which takes half a minute."""
    slow = name in ("torchvision:googlenet", "torchvision:inception_v3")
    return load_network(name, **{"init_weights": False} if slow else {})


def smallest_input(name: str, model: nn.Module) -> Tensor:
    """Two images of the smallest side that the network takes in both modes."""
    own = default_input_size(name)[1]
    for side in sorted({*SIDES, own}):
        example = torch.zeros(2, 3, side, side)
        try:
            for training in (False, True):
                trace(model, example, training=training)
        except LeniSearchError:
            if side >= own:
                raise
            continue
        return example
    raise AssertionError("no side was tried")


def shapes(value: Any) -> list[tuple[int, ...]]:
    """Shapes of all tensors in what a network returns."""
    return [tuple(tensor.shape) for tensor in tensors_in(value)]


def step(network: nn.Module, example: Tensor, wanted: dict[bool, list[tuple[int, ...]]]) -> str:
    """Train one step and evaluate; what is wrong, empty if nothing is."""
    images = torch.randn(example.shape)
    parameters = list(network.parameters())
    optimizer = torch.optim.SGD(parameters, lr=1e-4)
    outputs = network.train()(images)
    loss = sum((tensor.float().square().mean() for tensor in tensors_in(outputs)), torch.zeros(()))
    loss.backward()
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not math.isfinite(loss.item()) or not all(bool(gradient.isfinite().all()) for gradient in gradients):
        return "the loss or a gradient is not finite"
    optimizer.step()
    if not all(bool(parameter.isfinite().all()) for parameter in parameters):
        return "a parameter is not finite after the step"
    if shapes(outputs) != wanted[True]:
        return f"outputs are {shapes(outputs)} in training, not {wanted[True]}"
    with torch.no_grad():
        outputs = network.eval()(images)
    return "" if shapes(outputs) == wanted[False] else f"outputs are {shapes(outputs)}, not {wanted[False]}"


def attempt(build: Callable[[], nn.Module], example: Tensor, wanted: dict[bool, list[tuple[int, ...]]]) -> str:
    """Build a network and train a step of it; what is wrong, empty if nothing is."""
    torch.manual_seed(0)
    try:
        return step(build(), example, wanted)
    except LeniSearchError as error:
        return str(error)
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError, AssertionError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def measured(name: str) -> dict[str, Any]:
    """One network's line of the results."""
    torch.set_num_threads(1)
    models = [built(name)]  # emptied as soon as it is not needed: the largest networks have gigabytes of weights
    model = models[0]
    example = smallest_input(name, model)
    twin = meta_copy(model)
    wanted = {mode: shapes(twin.train(mode)(example.to("meta"))) for mode in (True, False)}
    row: dict[str, Any] = {"name": name, "side": example.shape[-1], "params": count(model)}
    started = time.process_time()
    found = channel_groups(model, example)
    row |= {"seconds": time.process_time() - started, "groups": len(found.groups), "kept": len(found.kept)}
    row |= {"reasons": Counter(found.kept.values()).most_common(5)}

    del found, twin, model

    def narrow() -> nn.Module:
        network = leni.narrow(models[0], 0.5, example_input=example)
        row["narrow_params"] = count(network)
        return network

    def halved() -> nn.Module:
        network, report = leni.swap(models.pop(), "leni", example_input=example, compression="none")
        row.update(sites=len(report.sites), halved=len(report.replaced), halved_params=count(network))
        row["left"] = Counter(report.left.values()).most_common(5)
        return network

    row["narrow"] = attempt(narrow, example, wanted)
    row["swap"] = attempt(halved, example, wanted)
    return row


def count(network: nn.Module) -> int:
    """Parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def run(name: str) -> dict[str, Any]:
    """One network's line, from a process of its own with limits on memory and time."""
    fork = multiprocessing.get_context("fork")  # the packages are imported once, in the parent
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=report, args=(name, sender))
    process.start()
    sender.close()
    try:
        row: dict[str, Any] = receiver.recv()
    except EOFError:
        process.join()
        row = {"name": name, "error": f"its process ended with {process.exitcode}, by the limits of time or memory"}
    process.join()
    return row


def report(name: str, sender: Connection) -> None:
    """Send one network's line from a child process."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    try:
        sender.send(measured(name))
    except (LeniSearchError, RuntimeError, MemoryError) as error:
        sender.send({"name": name, "error": f"{type(error).__name__}: {error}"})


def page(rows: Sequence[dict[str, Any]]) -> str:
    """The results as a section of docs/call-sites.md."""
    whole = [row for row in rows if "error" not in row]
    passed = [row for row in whole if not row["narrow"] and not row["swap"]]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "torchvision", "timm"))
    slowest = sorted(whole, key=lambda row: row["seconds"], reverse=True)[:5]
    lines = [
        "## Networks at other widths",
        "",
        f"Made by `{COMMAND}`, then",
        f"`{COMMAND} --page >> docs/call-sites.md` ({versions}).",
        "Weights are random. The first command runs what its file lacks, each network in a process of its own with",
        "limits on time and memory.",
        "",
        "- groups: sets of layers whose channels go together (`leni.widths.groups.channel_groups`). kept: layers that",
        "  keep their outputs, the network's last layer among them; the reasons stand below. seconds: of one core, to",
        "  trace the network and find its groups.",
        "- narrow: parameters of `leni.narrow` at one half, as a fraction of the network's.",
        '- halved: sites at which LENI with `compression="none"` was put after a convolution with half its filters, of',
        "  all sites.",
        "",
        f"Of {len(rows)} networks, {len(passed)} train a step in both modes with finite losses, gradients and "
        "parameters, and keep the sizes",
        f"of their outputs. {sum(row['halved'] == 0 for row in passed)} of these have no site whose convolution can be "
        "halved, so that the second mode is the network itself.",
        "The slowest to read: " + ", ".join(f"{short(row)} {row['seconds']:.1f} s" for row in slowest) + ".",
        "",
        "| network | input | parameters | groups | kept | seconds | narrow | halved |",
        "|---|---|---|---|---|---|---|---|",
        *map(line, whole),
        "",
    ]
    failed = [
        f"- {short(row)}: {row.get('error') or row['narrow'] or row['swap']}" for row in rows if row not in passed
    ]
    lines += ["Networks that do not pass:", "", *failed] if failed else ["Every network passes."]
    rest = [name for name in networks() if name not in {row["name"] for row in rows}]
    lines += ["", f"Not run: {len(rest)} of {len(networks())}: {', '.join(rest)}."] if rest else []
    lines += ["", "Layers that keep their outputs, but for those that are outputs of the network:", ""]
    for row in whole:
        reasons = [f"{reason} ({count})" for reason, count in row["reasons"] if reason != OUTPUT]
        if reasons:
            lines.append(f"- {short(row)}: {'; '.join(reasons)}")
    return "\n".join(lines)


def short(row: dict[str, Any]) -> str:
    """The network's name, with the library where it is timm's."""
    name: str = row["name"]
    return name.removeprefix("torchvision:")


def line(row: dict[str, Any]) -> str:
    """One network's line of the table."""
    narrow = "-" if row["narrow"] else f"{row['narrow_params'] / row['params']:.2f}"
    halved = "-" if row["swap"] else f"{row['halved']} of {row['sites']}"
    size = f"{row['side']}x{row['side']}"
    cells = [
        short(row),
        size,
        f"{row['params']:,}",
        row["groups"],
        row["kept"],
        f"{row['seconds']:.1f}",
        narrow,
        halved,
    ]
    return f"| {' | '.join(map(str, cells))} |"


def main(arguments: Sequence[str]) -> None:
    """Run the networks that the results lack, or print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="file of the results, one JSON object per line")
    parser.add_argument("names", nargs="*", help="networks to run; all if none is named")
    parser.add_argument("--page", action="store_true", help="print the results as Markdown, and run nothing")
    given = parser.parse_args(arguments)
    lines = given.results.read_text().splitlines() if given.results.exists() else []
    known = {row["name"]: row for row in map(json.loads, lines)}
    if given.page:
        print(page([known[name] for name in networks() if name in known]))
        return
    done = set(known)
    for name in given.names or networks():
        if name not in done:
            row = run(name)
            with given.results.open("a") as file:
                file.write(json.dumps(row) + "\n")
            outcome = row.get("error") or f"narrow: {row['narrow'] or 'ok'}; halved: {row['swap'] or 'ok'}"
            print(f"{name}: {outcome}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
