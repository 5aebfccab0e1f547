"""ComfyUI custom node `RIFE VFI`: frame interpolation of an image batch. The folder goes to `ComfyUI/custom_nodes`."""

from .nodes import RifeVfi

NODE_CLASS_MAPPINGS = {"RIFE VFI": RifeVfi}
NODE_DISPLAY_NAME_MAPPINGS = {"RIFE VFI": "RIFE VFI"}

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
