"""Any network as a backbone: its widths, call sites and costs read from one forward pass without data.

A network is traced once in a process at the size that it was made for, which says what its widths and sites are called,
and once for each form of images that costs are counted for. What is trained is built by its own factory, cut to its
widths (leni/widths/resizing.py), and gets the candidate's activations at its call sites (leni/putting.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor, fx, nn

from leni import registry
from leni.call_sites import CallSite, named_calls
from leni.errors import CandidateError, InfeasibleWidth, NetworkError
from leni.halve import Producer, halve, producer_of
from leni.narrowing import group_stage, layer_stages
from leni.networks import default_input_size, has_input_size
from leni.placement import FEATURE_ROLES
from leni.putting import put_module, reroute
from leni.recording import tensors_in
from leni.swapping import obstacle, replaceable
from leni.tracing import Call
from leni.widths.groups import Groups, channel_groups
from leni.widths.resizing import keep_variance, resize
from spaces.backbones.factories import LAYERS, Adaptation, Factory
from spaces.backbones.network_names import NetworkName
from spaces.backbones.sites import OWN, PLAIN, BackboneSite, SiteActivations
from spaces.backbones.strided_pointwise import replace_strided_pointwise

__all__ = ["TracedNetwork", "traced"]

SIDES = (224, 32, 28, 8, 64, 96, 128, 16, 48, 256, 299, 384)  # pixels that are tried where a factory says nothing
WIDE = 64  # channels from which a network's widths are rounded to multiples of 8
Shape = tuple[int, int, int]


class TracedNetwork:
    """A network for one form of images and number of classes, or as its factory builds it.

    Args:
        name: of the network.
        shape: (C, H, W) of an image; None for the size that it was made for.
        classes: how many logits it gives; None for the factory's default.

    Attributes:
        groups: its channels that go together.
        places: its call sites, each with its call.
        left: why call sites can have no other activation, by name.

    Raises:
        NetworkError: it cannot be built or traced, or does not give logits; the message says what would be right.
    """

    def __init__(self, name: NetworkName, shape: Shape | None = None, classes: int | None = None) -> None:
        self.name, self.factory = name, Factory(name)
        self.usual = self if shape is None else traced(name)
        self.classes = classes
        if shape is None:
            self.shape, self.groups = self._traced_at_own_size()
        else:
            self.shape = shape
            self.groups = self._traced(self._without_data(shape[0], classes), shape)
        self.record = self.groups.records[0]
        self._check_output()
        self.places = named_calls(self.groups.model, self.record)
        if self.usual is not self:
            self._check_like(self.usual)

    def _without_data(self, channels: int | None, classes: int | None) -> nn.Module:
        """The network on the meta device; with its data, if its factory fails there."""
        adaptation = self.usual.adaptation if self.usual is not self else Adaptation()
        try:
            with torch.device("meta"):
                return self.factory.build(channels, classes, adaptation)
        except NetworkError:
            with torch.random.fork_rng(devices=[]):
                return self.factory.build(channels, classes, adaptation)

    def _traced(self, network: nn.Module, shape: Shape) -> Groups:
        dtype = next((value.dtype for value in network.parameters() if value.is_floating_point()), torch.float32)
        example = torch.zeros(1, *shape, dtype=dtype)
        try:
            return channel_groups(network, example)
        except NetworkError as error:
            if not any(value.is_meta for value in network.parameters()):
                raise NetworkError(
                    f"{self.name} on images of {'x'.join(map(str, shape))}: {error}", code=error.code
                ) from None
        with torch.random.fork_rng(devices=[]):
            real = self.factory.build(
                None if self.usual is self else shape[0],
                self.classes,
                Adaptation() if self.usual is self else self.usual.adaptation,
            )
        return self._traced(real, shape)

    def _traced_at_own_size(self) -> tuple[Shape, Groups]:
        """The size of images that the network was made for: what it says, or the first of a few at which it runs."""
        network = self._without_data(None, None)
        if has_input_size(self.name.source):
            channels, height, width = default_input_size(self.name.source)
            side = self.name.arguments.get("img_size")  # timm's word
            shapes = [(channels, side, side) if isinstance(side, int) else (channels, height, width)]
        else:
            shapes = [(channels, side, side) for side in SIDES for channels in _input_channels(network)]
        first: NetworkError | None = None
        for shape in shapes:
            try:
                return shape, self._traced(network, shape)
            except NetworkError as error:
                first = first or error
        raise first or NetworkError(f"{self.name}: there is no size of images to try")

    def _check_output(self) -> None:
        output = self.record.output
        if not isinstance(output, Tensor):
            raise NetworkError(
                f"{self.name} gives a {type(output).__name__}; wrap it in a module that gives its logits, (N, classes)"
            )
        if output.dim() != 2 or (self.classes is not None and output.shape[1] != self.classes):
            wanted = "classes" if self.classes is None else self.classes
            raise NetworkError(
                f"{self.name} must give logits (N, {wanted}), got (N, {', '.join(map(str, output.shape[1:]))})"
            )

    def _check_like(self, usual: TracedNetwork) -> None:
        """Whether widths and sites are those that candidates are written in."""
        widths, own = ([(g.name, g.channels, g.parts) for g in each.groups.groups] for each in (usual, self))
        if widths != own or [site.name for site, _ in usual.places] != [site.name for site, _ in self.places]:
            raise NetworkError(
                f"{self.name} has other layers for images of {'x'.join(map(str, self.shape))} than for those of "
                f"{'x'.join(map(str, usual.shape))} that it was made for; name a factory of your own that builds the "
                "network for these images, and give it an attribute input_size = (C, H, W)"
            )

    @cached_property
    def left(self) -> dict[str, str]:
        """Why call sites can have no other activation, by name."""
        if self.usual is not self:
            return self.usual.left
        example = torch.zeros(1, *self.shape, dtype=self._dtype)
        return replaceable(self.groups.model, self.record, self.places, example)

    @property
    def _dtype(self) -> torch.dtype:
        return next(
            (value.dtype for value in self.groups.model.parameters() if value.is_floating_point()), torch.float32
        )

    @cached_property
    def adaptation(self) -> Adaptation:
        """The layers that read the images and give the classes."""
        return Adaptation(_first_layer(self.record.graph, self.shape[0]), _last_layer(self.record.outputs))

    @cached_property
    def sites(self) -> tuple[BackboneSite, ...]:
        """The call sites that can have another activation."""
        return tuple(
            BackboneSite(site.name, site.role, site.stage, site.kind)
            for site, _ in self.places
            if site.name not in self.left
        )

    @property
    def plain(self) -> str:
        """The activation of all feature sites by themselves: relu, or own."""
        kinds = {site.kind for site in self.sites if site.role in FEATURE_ROLES}
        return PLAIN if kinds == {PLAIN} else OWN

    @cached_property
    def stages(self) -> tuple[int, ...]:
        """Stage of each group: of the last of its layers."""
        stage_of = layer_stages(self.groups.model, self.record)
        return tuple(max(0, group_stage(group, stage_of)) for group in self.groups.groups)

    @cached_property
    def producers(self) -> dict[str, Producer | str]:
        """The convolution before each site that could be halved, or why there is none, by the site's name."""
        model = self.groups.model
        return {site.name: producer_of(model, self.record, call) for site, call in self.places}

    @property
    def aux_heads(self) -> bool:
        """Whether the network returns more than its logits in training."""
        return not isinstance(self.groups.records[1].output, Tensor)

    def chosen(self, activations: SiteActivations) -> Iterator[tuple[CallSite, Call, Producer | None]]:
        """The sites whose activation is replaced, with the convolution that is halved for it.

        Raises:
            CandidateError: an activation cannot be at a site.
        """
        for site, call in self.places:
            name = activations.name(site.name)
            if name == OWN or (name == site.kind and not registry.get(name).options):
                continue
            row = registry.get(name)
            multiple = activations.multiple(site.name)
            producer = self.producers[site.name] if multiple > 1 else None
            if multiple > 2:
                producer = f"{name} gives {multiple} channels for one"
            reason = self.left.get(site.name) or obstacle(
                row, activations.options(site.name), site, call, {site.name}, producer
            )
            if reason:
                raise CandidateError(f"{self.name}, site {site.name}: {reason}")
            yield site, call, producer if isinstance(producer, Producer) else None

    def build(self, widths: tuple[int, ...], activations: SiteActivations, in_channels: int, classes: int) -> nn.Module:
        """The network at given widths, with a candidate's activations, freshly initialised.

        Args:
            widths: channels of each group.
            activations: what is at each site.
            in_channels: of the images.
            classes: how many logits.

        Raises:
            CandidateError: an activation cannot be at a site.
            InfeasibleWidth: a convolution of an odd number of filters would have to be halved.
            NetworkError: the network cannot be built.
        """
        network = self.factory.build(in_channels, classes, self.adaptation)
        values = self.groups.values(widths)
        keep_variance(resize(self.groups, network, values))
        replace_strided_pointwise(network)
        chosen = list(self.chosen(activations))
        if failed := reroute(network, self.record, [(site, call) for site, call, _ in chosen], self.places):
            name, reason = next(iter(failed.items()))
            raise CandidateError(f"{self.name}, site {name}: {reason}")
        for site, call, producer in chosen:
            channels = self.groups.number(self.site_size(call), values)
            if producer:
                channels = self.half_of(channels, site, producer)
                halve(network, producer)
            module = activations.create(site.name, channels)
            put_module(network, site.name, module, activations.name(site.name))
        if self.aux_heads:
            network.register_forward_hook(_first_output)
        return network

    def half_of(self, channels: int, site: CallSite, producer: Producer) -> int:
        """Half of a site's channels, where each group of the convolution before it can be halved.

        Raises:
            InfeasibleWidth: one cannot.
        """
        layer: Any = self.groups.parameters.layers[producer.convolution].module
        if channels % (2 * layer.groups):
            raise InfeasibleWidth(
                f"{self.name}, site {site.name}: an activation that gives 2 channels for one needs a width divisible "
                f"by {2 * layer.groups}, got {channels}"
            )
        return channels // 2

    def site_size(self, call: Call) -> Any:
        """The size of a call's channels."""
        step = self.record.steps[call.step]
        tensor = next(tensors_in((step.args, step.kwargs)))
        return self.groups.flows[0].dims(tensor)[call.channel_dim]

    def notes(self, in_channels: int, classes: int) -> tuple[str, ...]:
        """What is changed for given images and classes, and what of the network cannot be searched, a sentence each."""
        found = list(self.factory.notes(in_channels, classes, self.adaptation))
        if self.aux_heads:
            found.append(f"{self.name}: only the first output is trained, not the others that it gives in training")
        return tuple(found)


@lru_cache(maxsize=32)
def traced(name: NetworkName, shape: Shape | None = None, classes: int | None = None) -> TracedNetwork:
    """The network of a name; each is traced once in a process."""
    return TracedNetwork(name, shape, classes)


def _first_output(module: nn.Module, inputs: Any, output: Any) -> Any:
    """A forward hook: of several outputs, which some networks give in training, the first."""
    return output if isinstance(output, Tensor) else next(tensors_in(output))


def _input_channels(network: nn.Module) -> list[int]:
    """Channels that a network may take: of its first convolution, or one and three."""
    first = next((layer.in_channels for layer in network.modules() if isinstance(layer, nn.Conv2d)), None)
    return [3, 1] if first is None else [first]


def _first_layer(graph: fx.Graph, channels: int) -> str:
    """Path of the layer that reads the images; empty if it is none that can be replaced."""
    layers = [node for node in graph.nodes if isinstance(node.meta.get("module"), LAYERS)]
    readers = [node for node in layers if any(_is_input(source) for source in node.all_input_nodes)]
    if len(readers) != 1 or getattr(readers[0].meta["module"], "in_channels", channels) != channels:
        return ""
    return str(readers[0].target) if isinstance(readers[0].meta["module"], nn.Conv2d) else ""


def _is_input(node: fx.Node) -> bool:
    """Whether a node is the images, or what a step of one operand makes of them."""
    while node.op != "placeholder":
        sources = node.all_input_nodes
        if len(sources) != 1 or isinstance(node.meta.get("module"), LAYERS):
            return False
        node = sources[0]
    return True


def _last_layer(outputs: tuple[fx.Node, ...]) -> str:
    """Path of the layer that gives the classes; empty if it is none that can be replaced."""
    node = outputs[0] if len(outputs) == 1 else None
    while node is not None and not isinstance(node.meta.get("module"), LAYERS):
        sources = node.all_input_nodes
        node = sources[0] if len(sources) == 1 else None
    return "" if node is None else str(node.target)
