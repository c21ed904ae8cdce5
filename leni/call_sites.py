"""Call sites: the places in a network's forward pass where an activation is called.

A call site is not a module: torchvision's ResNets call one ReLU several times with different channel counts, GoogLeNet
calls `F.relu`. `sites` finds both kinds, each call by itself, by recording one pass as a torch.fx graph (tracing.py).

Roles, tested in this order:

    (none)  a sigmoid or hard sigmoid that enters a product is the product's gate and no site
    gate    inside a squeeze-and-excitation: on globally pooled values that go on to change a feature map
    head    after global pooling or flattening, or in a top-level module called classifier, head or fc
    stem    before the first block: a module of the network's own classes with two or more weight layers, whose class
            is used more than once, or which shares a Sequential with such a one; in a network without blocks (AlexNet,
            VGG) the first site alone
    outer   directly after a sum of two feature maps
    inner   all others

Stages number the spatial sizes of the sites from the first block on, the largest first, from 1; stem sites are of stage
0. Gates and heads have the stage of the feature site before them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, fx, nn

from leni.placement import FEATURE_ROLES
from leni.tracing import Call, Trace, trace

__all__ = ["CallSite", "named_calls", "sites"]

HEADS = ("classifier", "head", "fc")
GATES = ("sigmoid", "hardsigmoid")
SUMS = ("add", "add_", "__add__", "__iadd__", "__radd__")
PRODUCTS = ("mul", "mul_", "__mul__", "__imul__", "__rmul__", "multiply", "multiply_")
RESHAPES = frozenset(
    {"view", "reshape", "expand", "expand_as", "unsqueeze", "squeeze", "flatten", "unflatten", "permute", "transpose"}
    | {"contiguous", "clone", "to", "type_as", "dropout", "dropout_", "__getitem__", "chunk", "split"}
    | {"interpolate"}  # a gate computed at a lower resolution
)
PASSING = (nn.Identity, nn.modules.dropout._DropoutNd, nn.Flatten, nn.Unflatten)


@dataclass(frozen=True)
class CallSite:
    """One call of an activation in a network's forward pass.

    Attributes:
        name: unique and stable: the path of the module, `layer1.0.relu`; further calls of one module are
            `layer1.0.relu_2` and so on; functions are named after the module whose forward calls them, `conv1.relu`.
            `swap` puts the new module at this path, so that the name stays.
        kind: the activation: relu, silu, hardswish, gelu, leni, ...
        channels: C of the input.
        channel_dim: dimension of the input that holds the channels; 1 in (N, C, H, W).
        spatial: the input's other dimensions, batch excluded: (H, W), (L,) for tokens, () after flattening.
        stage: counted from 1 by resolution; 0 for the stem.
        role: stem, inner, outer, gate or head.
        module: path of the module called; for a function, of the module whose forward calls it.
        functional: whether a function is called.
        hidden: why no other activation can be put there, where a module of torch.nn computes this one inside an
            operation of its own (`nn.LSTM`); else empty.
    """

    name: str
    kind: str
    channels: int
    channel_dim: int
    spatial: tuple[int, ...]
    stage: int
    role: str
    module: str
    functional: bool
    hidden: str = ""

    @property
    def feature_map(self) -> bool:
        """Whether the input is a channelled feature map, (N, C, H, W)."""
        return self.channel_dim == 1 and len(self.spatial) == 2

    def __str__(self) -> str:
        size = "x".join(map(str, self.spatial)) or "1"
        return f"{self.name}: {self.kind}, {self.channels} channels at {size}, stage {self.stage}, {self.role}"


def sites(model: nn.Module, example_input: Tensor) -> list[CallSite]:
    """Every activation call site of a network, in the order of the forward pass.

    Args:
        model: any network of one input; neither its weights nor its training flag are touched.
        example_input: (N, C, H, W); only its shape and dtype matter, and it is needed only because sizes depend on it.

    Returns:
        The sites of a pass in evaluation mode; roles and stages are defined at the head of this file. A network whose
        forward pass depends on values is run on the example for real, and its sites are the modules that it calls.

    Raises:
        NetworkError: the network cannot run, or its forward pass depends on values and it calls activation functions,
            or one activation module several times.

    Example:
        >>> import torch
        >>> [site.name for site in sites(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), torch.empty(1, 3, 8, 8))]
        ['1']
    """
    return [site for site, _ in named_calls(model, trace(model, example_input))]


def named_calls(model: nn.Module, record: Trace) -> list[tuple[CallSite, Call]]:
    """The sites of a trace, each beside the call that it stands for."""
    calls = [call for call in record.calls if not (call.kind in GATES and _enters_product(call.node))]
    position = {id(call): index for index, call in enumerate(record.calls)}
    names = _names(model, calls)
    roles = []
    for index, call in enumerate(calls):
        in_stem = index == 0 if record.first_block is None else position[id(call)] < record.first_block
        roles.append(_role(call, in_stem))
    stages = _stages(calls, roles)
    return [
        (
            CallSite(
                name=name,
                kind=call.kind,
                channels=call.channels,
                channel_dim=call.channel_dim,
                spatial=call.spatial,
                stage=stage,
                role=role,
                module=call.path,
                functional=call.functional,
                hidden=call.hidden,
            ),
            call,
        )
        for name, call, role, stage in zip(names, calls, roles, stages, strict=True)
    ]


def _names(model: nn.Module, calls: Sequence[Call]) -> list[str]:
    """A name for each call: the module's path, or scope.kind for a function; later ones counted from 2."""
    taken = {name for name, _ in model.named_modules(remove_duplicate=False)}
    used: set[str] = set()
    names = []
    for call in calls:
        base = call.path
        if call.functional or call.hidden:
            base = f"{call.path}.{call.kind}" if call.path else call.kind
        free = {base} if base == call.path else set()
        candidates = (base if turn == 1 else f"{base}_{turn}" for turn in range(1, len(calls) + len(taken) + 2))
        name = next(name for name in candidates if name not in used and (name in free or name not in taken))
        used.add(name)
        names.append(name)
    return names


def _role(call: Call, in_stem: bool) -> str:
    """The role of a call, by the rules at the head of this file."""
    pooled = _is_pooled(call.spatial)
    after_pooling = pooled and _after_pooling(call.node)
    if pooled and (_gates(call.node) or (after_pooling and _reaches_map(call.node))):
        return "gate"
    if call.path.split(".")[0] in HEADS or len(call.shape) == 2:
        return "head"
    if after_pooling:
        return "head"
    if in_stem:
        return "stem"
    return "outer" if _after_sum(call.node) else "inner"


def _stages(calls: Sequence[Call], roles: Sequence[str]) -> list[int]:
    """Stage of each call; one on tokens, which have no resolution, has the stage before it."""
    pairs = list(zip(calls, roles, strict=True))
    sizes = {call.spatial for call, role in pairs if role in ("inner", "outer") and len(call.spatial) == 2}
    order = sorted(sizes, key=lambda size: (math.prod(size), size), reverse=True)
    stages: list[int] = []
    current = 0
    for call, role in pairs:
        if role == "stem":
            current = 0
        elif role in FEATURE_ROLES:
            current = order.index(call.spatial) + 1 if call.spatial in sizes else max(current, 1)
        stages.append(current)
    return stages


def _is_pooled(spatial: Sequence[int]) -> bool:
    return math.prod(spatial) == 1


def _name(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")


def _is_product(node: fx.Node) -> bool:
    return node.op == "call_function" and _name(node) in PRODUCTS and len(node.args) > 1


def _passes(node: fx.Node) -> bool:
    """Whether a node hands values on as they are."""
    if node.op == "call_module":
        return isinstance(node.meta["module"], PASSING)
    scaled = _name(node) in PRODUCTS and len(node.args) == 1
    return scaled or _name(node) in RESHAPES


def _enters_product(node: fx.Node) -> bool:
    """Whether a node's value goes, unchanged, into the product of two values."""
    return any(_is_product(user) or (_passes(user) and _enters_product(user)) for user in node.users)


def _area(node: fx.Node) -> int:
    shape: tuple[int, ...] = node.meta["shape"]
    dim = node.meta["channel_dim"]
    return math.prod(size for index, size in enumerate(shape) if index not in (0, 1 if dim is None else dim))


def _gates(node: fx.Node, *, squashed: bool = False) -> bool:
    """Whether pooled values pass, through pooled values and no further site, to a product with a feature map.

    Where the feature map is itself 1x1 its size says nothing; there a sigmoid on the way tells the gate.
    """
    for user in node.users:
        if _is_product(user):
            if _area(user) > 1 or (squashed and len(user.meta["shape"]) == 4):
                return True
            continue
        call = user.meta.get("call")
        sigmoid = call is not None and call.kind in GATES
        if _area(user) > 1 or (call is not None and not sigmoid):
            continue
        if _gates(user, squashed=squashed or sigmoid):
            return True
    return False


def _reaches_map(node: fx.Node) -> bool:
    """Whether anything that depends on a value is a feature map (N, C, H, W) of more than one position."""
    seen: set[fx.Node] = set()
    waiting = list(node.users)
    while waiting:
        user = waiting.pop()
        if user not in seen:
            seen.add(user)
            if len(user.meta["shape"]) == 4 and user.meta["channel_dim"] is not None and _area(user) > 1:
                return True
            waiting.extend(user.users)
    return False


def _after_pooling(node: fx.Node) -> bool:
    """Whether pooled values come, through pooled values alone, from a reduction over space and not from a stride."""
    seen: set[fx.Node] = set()
    waiting = list(node.all_input_nodes)
    while waiting:
        source = waiting.pop()
        if source in seen or source.op == "placeholder":
            continue
        seen.add(source)
        if any(_area(before) > 1 for before in source.all_input_nodes):
            module = source.meta["module"]
            name = type(module).__name__.lower() if module is not None else _name(source)
            if "pool" in name or name in ("mean", "flatten", "sum", "amax", "view", "reshape"):
                return True
            continue
        waiting.extend(source.all_input_nodes)
    return False


def _after_sum(node: fx.Node) -> bool:
    """Whether the value comes straight from a sum of two values."""
    source: fx.Node = node.all_input_nodes[0]
    while source.op == "call_module" and isinstance(source.meta["module"], PASSING):
        source = source.all_input_nodes[0]
    return source.op == "call_function" and _name(source) in SUMS and len(source.args) > 1
