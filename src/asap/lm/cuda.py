"""Which kernels attention takes on CUDA."""


def attend_in_any_shape() -> None:
    """Have attention of this process take no kernel of cuDNN, which plans anew, for tens of milliseconds, each shape it has not seen.

    Batches of real texts hardly ever have the same shape twice, and while a text is written its length changes with every token.
    Where cuDNN is not torch's first choice (before Hopper) this changes nothing.
    """
    import torch

    torch.backends.cuda.enable_cudnn_sdp(False)
