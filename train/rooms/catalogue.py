"""The furniture catalogues of Sweet Home 3D: which models there are, how large, and what they count as."""

import hashlib
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = "/usr/share/sweethome3d/furniture"

# Where a piece goes: against a wall, anywhere on the floor, at a table, on top of another piece, on a wall, under the ceiling,
# flat on the floor, into a wall.
WALL, FREE, SEAT, TOP, HUNG, CEILING, FLAT, DOOR, WINDOW = PLACES = (
    "wall", "free", "seat", "top", "hung", "ceiling", "flat", "door", "window")

# (category, name) -> class, place: the first row that matches. A class of None leaves the model out.
RULES = [(re.compile(category), re.compile(name), label, place) for category, name, label, place in (
    ("Exterior|Staircases|Vehicles|Characters", "", None, None),
    ("", "Garage|Elevator|Rail|Escalator|shutter|Contemporary living|Fireplace|Chimney|Fence|railing|container|Furnace", None, None),
    ("Doors", "[Dd]oor", "wall", DOOR),
    ("Doors", "[Ww]indow", "window", WINDOW),
    ("", "blind|Curtain", None, None),
    ("", "rug|carpet|Bathmat|Doormat|Tatami", "floor", FLAT),
    ("", "Ceiling|Chandelier|Hanging light|Pendant|Track lights|Hood|Range hood|Upper", "objects", None),
    ("", "Dressing table|Changing table|[Bb]edside table|TV stand|Television cabinet|Bedside", "furniture", WALL),
    ("", "Table tennis|Table fan|Football table|Pool table|Flipper|Abdominal|Workbench|Wheelchair", None, None),
    ("Lights", "^Lamp$|vase lamp", "objects", FREE),
    ("Lights", "Desk lamp|Little lamp|Candle|Camping", "objects", TOP),
    ("Lights", "", None, None),
    ("Bedroom", r"\b[Bb]ed\b|Crib|Futon|Mezzanine|Captain", "bed", WALL),
    ("", "[Ss]ofa|Couch|Futon couch|Convertible", "sofa", WALL),
    ("", r"\b(Book|Newspaper)\b", "books", TOP),
    ("", "Bookcase|bookcase|[Ss]helves|Wardrobe|Dresser|[Cc]upboard|Chest\\b|Filing|Locked locker|Vanity|vanity|Sideboard", "furniture", WALL),
    ("Kitchen", "cabinet|Cooker|Fridge|fridge|Refrigerator|[Ww]ashing machine|Dryer|[Ss]tove|^Oven|Double oven|freezer|Island", "furniture", WALL),
    ("", "[Cc]hair|[Ss]tool|Class seat|Armchair|armchair", "chair", SEAT),
    ("", "[Pp]iano|Aquarium|Safe|Water cooler", "furniture", WALL),
    ("", "[Bb]ench|Puff", "chair", FREE),
    ("", r"\b[Tt]able\b|\b[Dd]esk\b|trestles", "table", FREE),
    ("", "flat TV", "tv", HUNG),
    ("", r"^TV$|TV 16|iMac|iBook|Laptop", "tv", TOP),
    ("", "Wall|switch|plug|Frame|clock|Socket|Radiator|water heater|detector|Intercom|White board|hanger|Boiler", "objects", None),
    ("Bathroom", "Bath$|bathtub|Shower|Island bath|Urinal|Washbasin|lavatory|Basin|rack", "objects", None),
    ("Bathroom", "Toilets unit|Bidet|Clothes basket", "objects", WALL),
    ("Living room", "Plant|plant|Ficus|Yucca|Bamboo|tree|Cactus|Orchids|Spathi|Tulips|Flowers|lily|guitar|Deer", "objects", FREE),
    ("", "Dustbin|trash|bin$|[Bb]asket$|Suitcase|Cardboard|Crate|Barrel|Trunck|Backpack|Briefcase|Speaker|Clothes (horse|rack)|Rocking horse|"
     "Treadmill|Indoor bike|Step ladder|Punching|Stroller|^Box$|Doll house|Umbrella|Vase|Broom|fan", "objects", FREE),
    ("Kitchen|Bathroom|Bedroom|Office|Living room|Miscellaneous", "", "objects", TOP),
)]

LIMITS = {TOP: 0.8, FREE: 2.6, SEAT: 1.2, WALL: 3.2, HUNG: 2.0, DOOR: 2.2, WINDOW: 2.6, FLAT: 3.5, CEILING: 1.5}  # longest side


@dataclass(frozen=True)
class Piece:
    """One model. size: width, depth, height; top: height at which things stand on it, or None."""
    identity: str
    name: str
    category: str
    label: str
    place: str
    size: tuple
    elevation: float
    top: float
    rotation: tuple
    archive: str
    model: str


def classify(category, name):
    for of_category, of_name, label, place in RULES:
        if of_category.search(category) and of_name.search(name):
            return label, place
    return None, None


def entries(archive):
    """The rows of a catalogue, as dictionaries of text."""
    with zipfile.ZipFile(archive) as file:
        text = file.read("PluginFurnitureCatalog.properties").decode("latin1")
    rows = {}
    for line in text.splitlines():
        match = re.match(r"(\w+)#(\d+)=(.*)", line)
        if match:
            rows.setdefault(int(match[2]), {})[match[1]] = match[3]
    return [rows[i] for i in sorted(rows)]


def read(folder=FOLDER):
    """Every model that furnishes a room. OSError if the package is not installed."""
    archives = sorted(Path(folder).glob("*.sh3f"))
    if not archives:
        raise OSError(f"{folder}: no catalogues of furniture here; install Debian's package sweethome3d-furniture")
    pieces = []
    for archive in archives:
        for row in entries(archive):
            label, place = classify(row.get("category", ""), row.get("name", ""))
            if label is None or place is None:
                continue
            size = tuple(float(row[k]) / 100 for k in ("width", "depth", "height"))
            if max(size[:2]) > LIMITS[place] or size[2] > 2.6 or min(size) < 1e-3:
                continue
            drop = float(row.get("dropOnTopElevation", row["height"]))
            rotation = tuple(float(v) for v in row["modelRotation"].split()) if "modelRotation" in row else ()
            pieces.append(Piece(row["id"], row["name"], row["category"], label, place, size, float(row.get("elevation", 0)) / 100,
                                drop / 100 if drop > 0 else None, rotation, str(archive), row["model"].lstrip("/")))
    return pieces


def split(pieces):
    """-> models for training, models for validation: about every fourth of each class and place, by a hash of its name."""
    groups = {}
    for piece in pieces:
        groups.setdefault((piece.label, piece.place), []).append(piece)
    parts = [], []
    for group in groups.values():
        group.sort(key=lambda p: hashlib.sha256(p.identity.encode()).digest())
        held = max(1, len(group) // 4) if len(group) > 1 else 0
        parts[1].extend(group[:held])
        parts[0].extend(group[held:])
    return parts


def by_place(pieces):
    """place -> category -> pieces."""
    table = {place: {} for place in PLACES}
    for piece in pieces:
        table[piece.place].setdefault(piece.category, []).append(piece)
    return table


def summary(pieces):
    labels, counts = np.unique([p.label for p in pieces], return_counts=True)
    return ", ".join(f"{label} {count}" for label, count in zip(labels, counts))
