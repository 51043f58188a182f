"""Compiled blocks: faster steps where a compiler is there, the same steps where none is."""

import logging

import torch
from torch import nn

from kagaku.models.backbone import Block


def compiler_problem(device: torch.device) -> str | None:
    """Return why nothing can be compiled for a device; None if it can."""
    if device.type == "cuda":
        from torch.utils._triton import has_triton

        return None if has_triton() else "triton is not installed"
    if device.type != "cpu":
        return f"compiling for {device.type} is not supported"
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        return "there is no C++ compiler"
    return None


def compile_blocks(network: nn.Module) -> int:
    """Compile each block of the backbone in place, for shapes that never change.

    Blocks are compiled one by one: they are alike, so their code is built once, and parameters
    keep their names. What was compiled in this process before is forgotten, since torch stops
    compiling a function that it has compiled for eight shapes. Returns how many there are.
    """
    torch.compiler.reset()
    # It warns of a missing GPU each time a CPU's compiler is started.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    blocks = [module for module in network.modules() if isinstance(module, Block)]
    for block in blocks:
        block.compile(dynamic=False)
    return len(blocks)
