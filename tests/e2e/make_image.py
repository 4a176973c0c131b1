#!/usr/bin/env python3
"""Writes a small convolutional network whose answers can be told by looking at the picture.

image.onnx   the mean of every 2 x 2 pixels, then
             semseg   [1, 4, h, w]  logits: red, green, blue, other
             depth    [1, 1, h, w]  metres: 0.5 + 4 x brightness
             normals  [1, 3, h, w]  2 x colour - 1
             edges    [1, 1, h, w]  logit: 20 x the change of brightness from left to right - 5
             heat, size, offset     objects are blue; each is 6 x 4 pixels of the output
             Input image [1, 3, height, width], both even.
fixed.onnx   the same for [1, height, width, 3], through a Transpose.
turned.jpg   48 x 32 pixels, the left half red and the right green, that a camera held upright took: seen with red on top.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def tent(size):
    side = 1 - np.abs(np.arange(size) - size // 2) / (size // 2 + 1)
    return np.outer(side, side) / side.sum() ** 2


def constants():
    grey = np.full(3, 1 / 3)
    blue = np.array([-4.0, -4.0, 8.0])
    slope = np.zeros((2, 3, 3, 3))
    slope[0, :, 1, 2], slope[0, :, 1, 0] = grey, -grey
    slope[1] = -slope[0]
    return {
        # Undoes the normalisation, and takes the mean of 2 x 2 pixels.
        "w_mean": np.einsum("oc,yx->ocyx", np.diag(DEVIATION), np.full((2, 2), 0.25)), "b_mean": MEAN,
        "w_semseg": np.array([[8, -4, -4], [-4, 8, -4], [-4, -4, 8], [0, 0, 0.0]])[..., None, None],
        "b_semseg": np.array([0, 0, 0, 2.0]),
        "w_depth": 4 * grey[None, :, None, None], "b_depth": np.array([0.5]),
        "w_normals": 2 * np.eye(3)[..., None, None], "b_normals": -np.ones(3),
        "w_slope": slope, "w_edges": np.full((1, 2, 1, 1), 20.0), "b_edges": np.array([-5.0]),
        "w_heat": np.einsum("oc,yx->ocyx", blue[None], tent(9)), "b_heat": np.array([-2.0]),
        "w_none": np.zeros((2, 3, 1, 1)), "b_size": np.array([6, 4.0]), "b_offset": np.array([0.5, 0.5]),
    }


def save(name, shape, first):
    def conv(x, w, b, out, pad=0, stride=1):
        inputs = [x, w] + ([b] if b else [])
        return helper.make_node("Conv", inputs, [out], name=out, pads=[pad] * 4, strides=[stride] * 2)
    nodes = first + [
        conv("pixels", "w_mean", "b_mean", "colour", stride=2),
        conv("colour", "w_semseg", "b_semseg", "semseg"),
        conv("colour", "w_depth", "b_depth", "depth"),
        conv("colour", "w_normals", "b_normals", "normals"),
        conv("colour", "w_slope", None, "slope", pad=1),
        helper.make_node("Relu", ["slope"], ["steep"], name="steep"),
        conv("steep", "w_edges", "b_edges", "edges"),
        conv("colour", "w_heat", "b_heat", "heat", pad=4),
        conv("colour", "w_none", "b_size", "size"),
        conv("colour", "w_none", "b_offset", "offset"),
    ]
    channels = dict(semseg=4, depth=1, normals=3, edges=1, heat=1, size=2, offset=2)
    out_shape = [d // 2 if isinstance(d, int) else f"{d}_2" for d in (shape[2:] if shape[1] == 3 else shape[1:3])]
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, [1, c, *out_shape]) for k, c in channels.items()],
        [numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in constants().items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="make_image.py")
    model.ir_version = 7
    onnx.checker.check_model(model)
    onnx.save(model, Path(__file__).with_name(f"{name}.onnx"))


def turned():
    image = Image.new("RGB", (48, 32), (230, 20, 10))
    image.paste((10, 200, 20), (24, 0, 48, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(Path(__file__).with_name("turned.jpg"), quality=95, subsampling=0, exif=exif)


if __name__ == "__main__":
    turned()
    save("image", [1, 3, "height", "width"], [helper.make_node("Identity", ["image"], ["pixels"], name="pixels")])
    save("fixed", [1, 32, 48, 3], [helper.make_node("Transpose", ["image"], ["pixels"], name="pixels", perm=[0, 3, 1, 2])])
