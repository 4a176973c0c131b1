"""Rooms: a renderer that furnishes random rooms and writes pictures with labels, depth, normals and edges of every pixel.

The furniture is that of Debian's package sweethome3d-furniture (CC0 and CC BY 3.0), so anybody can make the same data again.
catalogue.py says which models there are and what they count as, mesh.py reads them, furnish.py makes rooms of them,
render.py (and visible.c) pictures of rooms, pack.py the data set. Lengths are metres; x east, y north, z up.
"""

# The 13 classes of NYUD-v2 that Couprie et al. (ICLR 2013) use, in alphabetical order. Doors and curtains count as wall, carpets as floor.
CLASSES = ("bed", "books", "ceiling", "chair", "floor", "furniture", "objects", "picture", "sofa", "table", "tv", "wall", "window")
PALETTE = ((214, 64, 64), (240, 176, 48), (216, 216, 224), (48, 144, 224), (160, 128, 96), (112, 72, 168), (64, 176, 96), (240, 112, 192),
           (32, 96, 144), (224, 144, 96), (32, 32, 48), (176, 176, 144), (128, 216, 240))
