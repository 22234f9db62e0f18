"""``gunileo summary``: print LabialCNN layer by layer."""

from __future__ import annotations

import typer


def summary() -> None:
    """Print LabialCNN layer by layer.

    \b
      gunileo summary
    """
    import torchinfo

    from gunileo.training.model import LabialCNN
    from gunileo.vision.crop import HEIGHT, WIDTH

    columns = ("input_size", "output_size", "num_params", "kernel_size", "mult_adds")
    size = (1, 1, 75, HEIGHT, WIDTH)  # one clip of GRID
    typer.echo(str(torchinfo.summary(LabialCNN(), size, col_names=columns, depth=4, device="cpu", verbose=0)))
