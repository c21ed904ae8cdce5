"""Compile LENI's CPU kernels into numba's cache, so that no two test processes do it at once: a minute of one core."""

import torch

from leni import LENI

if __name__ == "__main__":
    for dtype in (torch.float32, torch.float64):
        for side in (4, 64):  # small maps have a kernel of one thread, others one of several
            x = torch.ones(4, 16, side, side, dtype=dtype, requires_grad=True)
            LENI(16).to(dtype)(x).sum().backward()
