"""Frame interpolation with the RIFE networks: the frames between two frames, for arrays, streams of frames and videos.

    >>> import numpy as np, rife
    >>> a = np.full((64, 96, 3), 100, np.uint8)   # height x width x RGB
    >>> b = np.full((64, 96, 3), 104, np.uint8)
    >>> rife.Model().interpolate(a, b, t=0.5).shape
    (64, 96, 3)

`Model.interpolate` and `stream` take numpy arrays and torch tensors; `video`, `image`, `chain`, `reencode`, `report`,
`verify`, `join` and `probe` work on files, as the commands of the command line `rife`, which is installed with the package.
Errors are subclasses of `RifeError`.
"""

from ._jobs import chain, image, join, probe, reencode, report, verify, video
from ._model import Model
from ._rife import VERSION as __version__
from ._rife import CancelToken
from ._stream import Frame, stream
from .errors import Cancelled, Failure, InputError, ModelError, OutputError, RifeError, UsageError

__all__ = [
    "CancelToken",
    "Cancelled",
    "Failure",
    "Frame",
    "InputError",
    "Model",
    "ModelError",
    "OutputError",
    "RifeError",
    "UsageError",
    "__version__",
    "chain",
    "image",
    "join",
    "probe",
    "reencode",
    "report",
    "stream",
    "verify",
    "video",
]
