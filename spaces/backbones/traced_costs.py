"""Parameters and multiply-adds of a traced network's candidates, without building them."""

from __future__ import annotations

from functools import lru_cache

import torch

from leni.copying import meta_copy
from leni.errors import CandidateError, NetworkError
from leni.halve import Producer
from leni.recording import tensors_in
from leni.widths.counting import Polynomial, Sizes, macs_polynomial, params_polynomial
from leni.widths.flow import step_name
from spaces.backbones.activation_costs import activation_cost
from spaces.backbones.network_names import NetworkName
from spaces.backbones.sites import SiteActivations
from spaces.backbones.traced import Shape, TracedNetwork, traced
from spaces.macs_counter import MacsCounter

__all__ = ["count", "network_costs"]


class NetworkCosts:
    """The costs of a network at any widths, with any activations at its sites.

    Args:
        network: traced for the images that costs are counted for.

    Raises:
        NetworkError: the network does something that is not counted exactly.
    """

    def __init__(self, network: TracedNetwork) -> None:
        self.network = network
        groups = network.groups
        self.sizes = Sizes(groups)
        self._params = params_polynomial(groups, self.sizes)
        self._macs = macs_polynomial(groups.flows[0], self.sizes)
        self._channels = {site.name: self.sizes.index(network.site_size(call)) for site, call in network.places}
        self._own = {
            site.name: params_polynomial(groups, self.sizes, below=[call.path])
            for site, call in network.places
            if call.module is not None and next(call.module.parameters(), None) is not None
        }
        self._halved = {
            name: self._convolution(producer)
            for name, producer in network.producers.items()
            if isinstance(producer, Producer)
        }
        self._rest = 0
        self._rest = self._built_macs(self._full) - self.macs_at(self._full)
        probe = tuple(group.parts * max(1, group.channels // group.parts // 2) for group in groups.groups)
        if self._built_macs(probe) != self.macs_at(probe):
            raise NetworkError(
                f"{network.name}: its multiply-adds cannot be counted at other widths; search it at its full width"
            )

    @property
    def _full(self) -> tuple[int, ...]:
        return tuple(group.channels for group in self.network.groups.groups)

    def macs_at(self, widths: tuple[int, ...]) -> int:
        """Multiply-adds of the network with its own activations, for one sample."""
        return self._macs.at(self.sizes.values(widths)) + self._rest

    def count(self, widths: tuple[int, ...], activations: SiteActivations) -> tuple[int, int]:
        """Parameters and multiply-adds for one sample, as the built network has them.

        Raises:
            CandidateError: as `TracedNetwork.build`.
        """
        values = self.sizes.values(widths)
        params, macs = self._params.at(values), self._macs.at(values) + self._rest
        for site, call, producer in self.network.chosen(activations):
            channels = int(values[self._channels[site.name]])
            if producer:
                channels = self.network.half_of(channels, site, producer)
                saved, saved_macs = self._halved[site.name]
                params -= saved.at(values) // 2
                macs -= saved_macs.at(values) // 2
            if site.name in self._own and site.name == call.path:
                params -= self._own[site.name].at(values)
            try:
                more = activation_cost(
                    activations.name(site.name), activations.structure(site.name), channels, call.shape[2:]
                )
            except CandidateError as error:
                raise CandidateError(f"site {site.name}: {error}") from None
            params, macs = params + more[0], macs + more[1]
        return params, macs

    def _convolution(self, producer: Producer) -> tuple[Polynomial, Polynomial]:
        """Parameters of a convolution and its norm that are halved, and the convolution's multiply-adds."""
        layers = self.network.groups.parameters.layers
        convolution = layers[producer.convolution]
        outputs = self.sizes.index(convolution.tensors["weight"][0])
        terms = [
            (1, layers[path].tensors[name])
            for path in (producer.convolution, producer.norm)
            if path
            for name, parameter in layers[path].module._parameters.items()
            if parameter is not None and self.sizes.index(layers[path].tensors[name][0]) == outputs
        ]
        step = next(
            step
            for step in self.network.record.steps
            if step.target == producer.convolution
            or (step.scope == producer.convolution and step_name(step) == "conv2d")
        )
        positions = next(tensors_in(step.result)).shape[2:].numel()
        return Polynomial(self.sizes, terms), Polynomial(self.sizes, [(positions, convolution.tensors["weight"])])

    def _built_macs(self, widths: tuple[int, ...]) -> int:
        """Multiply-adds of the network as built, counted while it runs without data."""
        network = meta_copy(self.network.groups.build(widths)).eval()
        dtype = next((value.dtype for value in network.parameters() if value.is_floating_point()), torch.float32)
        counter = MacsCounter()
        with torch.random.fork_rng(devices=[]), torch.no_grad(), counter, torch.device("meta"):
            network(torch.empty(1, *self.network.shape, dtype=dtype))
        return counter.macs


@lru_cache(maxsize=32)
def network_costs(name: NetworkName, shape: Shape, classes: int) -> NetworkCosts:
    """The costs of a network's candidates; each network is traced once in a process.

    Raises:
        NetworkError: as `TracedNetwork` and `NetworkCosts`.
    """
    return NetworkCosts(traced(name, shape, classes))


def count(
    name: NetworkName, widths: tuple[int, ...], activations: SiteActivations, shape: Shape, classes: int
) -> tuple[int, int]:
    """Parameters and multiply-adds of a candidate, for one sample.

    Raises:
        CandidateError: the candidate cannot be built.
        NetworkError: the network cannot be traced for such images.
    """
    return network_costs(name, shape, classes).count(widths, activations)
