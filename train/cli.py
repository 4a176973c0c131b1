"""python3 -m train: teacher, binary, eval, export, random."""

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np
import torch

from . import compare, data, dense, dense_export, export, grid, images, losses, loop, packs, pascal, prove, random_networks, random_pictures, scenes, tasks, weights
from .binarize import BINARIZERS, ESTIMATORS
from .networks import KINDS, initialise_from, make_network
from .networks.bimtdp import GATES, VARIANTS
from .networks.bineal_tasks import BINEAL
from .networks.layers import FLOAT, POOLS
from .neighbours_onnx import GATHERS, SEARCHES


# Network on pictures -> its settings that `random` takes from the arguments.
PICTURE_SETTINGS = {
    "hrnet": lambda args: dict(width=args.width),
    "bimtdp": lambda args: dict(width=args.width, variant=FLOAT if args.float else args.variant, gate=args.gate,
                                outputs=dict(args.tasks)),
    "resnet18": lambda args: {},
    "resnet50": lambda args: {},
    **{kind: lambda args: dict(binarizer=args.binarizer or BINEAL, classes=args.classes, multiplier=args.multiplier)
       for kind in ("bineal-classify", "bineal-segment", "bineal-detect")},
    **{kind: lambda args: dict(binarizer=args.binarizer or BINEAL, multiplier=args.multiplier)
       for kind in ("bineal-enlarge", "bineal-match")},
}


def add_training(parser, epochs, lr, smoothing):
    parser.add_argument("-o", "--out", required=True, metavar="CKPT", help="checkpoint; continued if it exists")
    parser.add_argument("--init", metavar="CKPT",
                        help="start from the weights of another checkpoint, binary or not, or from weights.npz of a shipped model")
    parser.add_argument("--net", choices=tuple(KINDS), default="vanilla")
    parser.add_argument("--pool", choices=POOLS, help="default: ema-max, or what the network prescribes")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=lr, help="peak of the cosine schedule (default %(default)s)")
    parser.add_argument("--points", type=int, default=1024)
    parser.add_argument("--early-points", type=int, metavar="N", help="use fewer points a cloud in the first epochs")
    parser.add_argument("--early-share", type=float, default=0.6, help="share of epochs with --early-points")
    parser.add_argument("--seed", type=int, default=666)
    parser.add_argument("--smoothing", type=float, default=smoothing, help="label smoothing (default %(default)s)")
    parser.add_argument("--yaw", type=float, default=1.0, metavar="SHARE",
                        help="share of the clouds turned about z by a random multiple of 90 degrees")
    parser.add_argument("--turn", type=float, default=0.05, help="extra turn about z, standard deviation in radians")
    parser.add_argument("--scale", type=float, default=0.15, help="largest relative stretch per axis")
    parser.add_argument("--jitter", type=float, default=0.01, help="standard deviation per coordinate")
    parser.add_argument("--drop", type=float, default=0.0, metavar="SHARE",
                        help="leave out up to this share of the points of each scan or scene")
    parser.add_argument("--balance", type=float, default=0.0, metavar="POWER",
                        help="draw clouds with weight (clouds of the same object) ** -POWER; for data with groups")
    parser.add_argument("--class-weights", type=float, nargs="+", metavar="W", help="of the true labels' term, by class")
    parser.add_argument("--foreign", type=float, default=0.0, metavar="SHARE",
                        help="semseg: this share of the samples is trained with the global feature of another sample")
    parser.add_argument("--samples", type=int, default=240, help="samples of an epoch, for scenes")
    add_common(parser)


def add_common(parser):
    parser.add_argument("--data", metavar="PATH",
                        help="pack (.npz) or folder of CLASS/train/*.off; default: in the folder $XNORD_DATA the pack "
                        f"with the classes of the checkpoint, or {packs.MODELNET10}")
    parser.add_argument("--fold", type=int, metavar="K", help="the fold that is validation (default 9 of 10 in stored "
                        "order, 3 of 5 where clouds have groups, stripe 3 of 5 in scenes, 5 and more are whole scenes)")
    parser.add_argument("--side", type=int, default=pascal.SIDE, metavar="PIXELS",
                        help="PASCAL-Context: pictures are made smaller until they fit a square of this side (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1)


def parser():
    top = argparse.ArgumentParser(prog="python3 -m train",
                                  description="Train, evaluate and export binarized point-cloud networks.")
    commands = top.add_subparsers(dest="command", required=True)

    p = commands.add_parser("teacher", help="train the full-precision network")
    add_training(p, epochs=55, lr=1e-3, smoothing=0.02)
    p.add_argument("--activation", choices=("relu", "hardtanh"), default="hardtanh")
    p.add_argument("--dropout", type=float, default=0.2)
    p.set_defaults(run=run_teacher)

    p = commands.add_parser("binary", help="train the binary network, with --teacher by distillation (KDR)")
    add_training(p, epochs=100, lr=2e-3, smoothing=0.0)
    p.add_argument("--teacher", metavar="CKPT", help="full-precision checkpoint to learn from")
    p.add_argument("--binarizer", choices=tuple(BINARIZERS), default="LSR")
    p.add_argument("--estimator", choices=ESTIMATORS,
                   help="gradient of sign(activation); default: bireal for LSR, the others' own (ede is that of IRNet)")
    p.add_argument("--lam", type=float, default=0.7, help="share of the distillation term, eq. (5) of KDR")
    p.add_argument("--eta", type=float, default=0.05, help="weight of the pooling term, eq. (12)")
    p.add_argument("--temperature", type=float, default=2.0)
    p.add_argument("--norm", choices=sorted(losses.REGULARISERS), default="1",
                   help="norm of the pooling term, eq. (11)")
    p.set_defaults(run=run_binary)

    for name, lr in (("dense-teacher", 2e-3), ("dense-binary", 2e-3)):
        p = commands.add_parser(name, help="multi-task network on pictures: full precision, or Bi-MTDP-F from --teacher")
        p.add_argument("-o", "--out", required=True, metavar="CKPT", help="checkpoint; continued if it exists")
        p.add_argument("--init", metavar="CKPT", help="start from the weights of another checkpoint; default: --teacher")
        p.add_argument("--width", type=int, default=18, help="channels of the finest branch")
        p.add_argument("--exchanged", type=int, default=4, metavar="SCALES",
                       help="at how many scales, from the finest, tasks see each other's features (default %(default)s)")
        p.add_argument("--epochs", type=int, default=60)
        p.add_argument("--batch", type=int, default=8)
        p.add_argument("--lr", type=float, default=lr, help="peak of the cosine schedule (default %(default)s)")
        p.add_argument("--size", type=int, nargs=2, default=(128, 160), metavar=("HEIGHT", "WIDTH"), help="of a crop")
        p.add_argument("--view", type=float, nargs=2, default=images.SCALE, metavar=("SMALLEST", "LARGEST"),
                       help="factors by which pictures are resized before cropping (default %(default)s)")
        p.add_argument("--seed", type=int, default=666)
        if name == "dense-binary":
            p.add_argument("--teacher", metavar="CKPT", required=True)
            p.add_argument("--variant", choices=("f", "c"), default="f",
                           help="f: all but first and last layers binary, c: only what tasks see of each other")
            p.add_argument("--binarizer", choices=tuple(BINARIZERS), default="XNOR++")
            p.add_argument("--lam", type=float, default=1.0, help="weight of the imitation of the teacher's scores")
            p.add_argument("--gamma", type=float, default=1.0, help="weight of the features' squared difference")
            p.add_argument("--beta", type=float, default=1e-3, help="weight of the bottlenecks' KL")
            p.add_argument("--temperature", type=float, default=2.0)
        add_common(p)
        p.set_defaults(run=run_dense)

    p = commands.add_parser("grid", help="binarizers x pooling x parts of the loss, as in the KDR paper")
    p.add_argument("-o", "--out", required=True, metavar="FOLDER", help="checkpoints and results; continued if they exist")
    p.add_argument("--rows", nargs="+", default=["*"], metavar="PATTERN", help="only rows such as 'lsr-*' or '*-kdr'")
    p.add_argument("--list", action="store_true", help="print the rows and their commands, run nothing")
    p.add_argument("--report", metavar="FILE.md", help="run nothing, write the tables into FILE.md")
    p.add_argument("--net", choices=("vanilla", "tnets"), default="vanilla")
    p.add_argument("--points", type=int, default=1024)
    p.add_argument("--epochs", type=int, default=100)
    p.add_argument("--teacher-epochs", type=int, default=55)
    p.add_argument("--seed", type=int, default=666)
    p.add_argument("--data", metavar="PATH", help="as for the other commands")
    p.set_defaults(run=run_grid)

    p = commands.add_parser("eval", help="accuracy on the validation part")
    p.add_argument("checkpoint", help="checkpoint, weights.npz or the folder of a shipped model")
    p.add_argument("--all", action="store_true", help="use all of --data, not only the validation part")
    p.add_argument("--through-daemon", action="store_true",
                   help="also compare with NAME/NAME.xnor beside the weights, in one process and through a private daemon")
    p.add_argument("--build", default="build", help="folder with xnorctl and xnord (default %(default)s)")
    p.add_argument("--yaw", type=float, default=0.0, metavar="DEGREES", help="turn the clouds about z first")
    p.add_argument("--save", metavar="FILE.npz", help="write points, labels, log_probs and argmax")
    add_common(p)
    p.set_defaults(run=run_eval)

    p = commands.add_parser("export", help="write a checkpoint as ONNX")
    p.add_argument("checkpoint")
    add_export(p)
    p.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"),
                   help="networks on pictures: only this size, multiples of 32 (default: any)")
    p.set_defaults(run=run_export)

    p = commands.add_parser("pack", help="write what the network needs to run (signs as bits) as a small .npz")
    p.add_argument("checkpoint")
    p.add_argument("-o", "--out", required=True, metavar="WEIGHTS.npz")
    p.set_defaults(run=run_pack)

    p = commands.add_parser("compare", help="labels of the compiled model beside WEIGHTS.npz against PyTorch")
    p.add_argument("checkpoint", metavar="WEIGHTS.npz", help="or the folder of a shipped model")
    p.add_argument("--build", default="build", help="folder with xnorctl and xnord (default %(default)s)")
    add_common(p)
    p.set_defaults(run=run_compare)

    p = commands.add_parser("random", help="write a network with random weights as ONNX, for benchmarks and tests")
    p.add_argument("--net", choices=(*KINDS, *PICTURE_SETTINGS), default="vanilla")
    p.add_argument("--binarizer", choices=tuple(BINARIZERS), help="default: LSR, on pictures IRNet; bineal has its own")
    p.add_argument("--pool", choices=POOLS, help="default: ema-max, or what the network prescribes")
    p.add_argument("--channels", type=int, default=3, help="per point (default %(default)s)")
    p.add_argument("--float", action="store_true", help="the full-precision network (ReLU)")
    p.add_argument("--classes", type=int, default=10)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--pair", action="store_true", help="also write FILE.in.npy, FILE.out.npy, computed by PyTorch in double, and "
                   "FILE.indexN.npy; on pictures FILE.outN.npy, one for every output")
    p.add_argument("--size", type=int, nargs=2, default=(480, 640), metavar=("HEIGHT", "WIDTH"),
                   help="of the picture, multiples of 32 (default %(default)s)")
    p.add_argument("--width", type=int, default=18, help="HRNet: channels of the finest branch (default %(default)s)")
    p.add_argument("--multiplier", type=float, metavar="M",
                   help="bineal: times the channels of the full-precision network (default 1.5 or 2; 1 with --float)")
    p.add_argument("--variant", choices=VARIANTS, default="f", help="bimtdp: see networks/bimtdp.py (default %(default)s)")
    p.add_argument("--gate", choices=GATES, default="source", help="bimtdp: the task whose features open it (default %(default)s)")
    p.add_argument("--tasks", nargs="+", type=task, default=[("semseg", 40), ("depth", 1)], metavar="NAME:CHANNELS",
                   help="bimtdp (default semseg:40 depth:1)")
    add_export(p)
    p.set_defaults(run=run_random)

    p = commands.add_parser("prove", help="random networks in every form, compiled and run, against PyTorch")
    p.add_argument("--build", default="build", help="folder with xnorctl (default %(default)s)")
    p.add_argument("--few", action="store_true", help="one network of every kind instead of all")
    p.add_argument("--emulator", action="append", default=[], metavar="COMMAND",
                   help="also run the golden pairs of every compiled network with COMMAND, such as 'qemu-aarch64 -cpu cortex-a72 "
                   "build/aarch64/tests/models'; may be repeated")
    p.add_argument("--net", action="append", choices=tuple(KINDS), help="only this one; may be repeated")
    p.add_argument("--binarizer", action="append", choices=(*BINARIZERS, FLOAT), help="only this one; may be repeated")
    p.set_defaults(run=run_prove)
    return top


def task(text):
    """NAME:CHANNELS"""
    name, _, channels = text.partition(":")
    if not name.isidentifier() or not channels.isdigit() or int(channels) == 0:
        raise argparse.ArgumentTypeError(f"{text}: not NAME:CHANNELS")
    return name, int(channels)


def add_export(parser):
    parser.add_argument("-o", "--out", required=True, metavar="FILE.onnx")
    parser.add_argument("--points", type=int, help="fixed number of points; default: dynamic axis")
    parser.add_argument("--batch", type=int, help="fixed batch; default: dynamic axis")
    parser.add_argument("--layout", choices=("linear", "conv"), default="linear",
                        help="linear: MatMul on [batch, points, 3]; conv: Conv on [batch, 3, points]")
    parser.add_argument("--raw", action="store_true",
                        help="leave what only training needs in the graph: weight signs and scales computed from real "
                             "weights, scales before the sum, remains of straight-through estimators")
    parser.add_argument("--fold-bn", action="store_true",
                        help="conv layout: batch normalisation and scale inside the convolution")
    parser.add_argument("--neighbours", choices=tuple(SEARCHES),
                        help="xnor: operators of the domain xnor; difference, gram: TopK of distances in one of two forms; "
                             "inputs: the indices are graph inputs. Default: difference for DGCNN, else xnor")
    parser.add_argument("--gather", choices=tuple(GATHERS), default="flat",
                        help="how rows of neighbours are taken without the domain xnor: Gather on all rows of the batch, "
                             "GatherND or GatherElements")


def options_of(args, source, **more):
    augment = dict(scale=args.scale, jitter=args.jitter, drop=args.drop)
    if isinstance(source, scenes.Scenes):
        more.update(samples=args.samples, foreign=args.foreign)
    else:
        augment.update(yaw=args.yaw, turn=args.turn)
        if args.balance and source.groups is None:
            raise data.DataError("--balance: the clouds have no groups")
        more["balance"] = args.balance
    if args.class_weights and len(args.class_weights) != len(source.classes):
        raise data.DataError(f"--class-weights: {len(args.class_weights)} given, the classes are {source.classes}")
    return dict(fold=args.fold, class_weights=args.class_weights, epochs=args.epochs, batch=args.batch, lr=args.lr,
                seed=args.seed, smoothing=args.smoothing, augment=augment,
                early=(args.early_points or args.points, args.early_share), **more)


def start(args, **config):
    """Seeds, loads the data and makes the network. -> data, network, options."""
    torch.manual_seed(args.seed)
    source = packs.load(args.data, side=args.side)
    net = make_network(args.net, pool=args.pool, classes=len(source.classes), points=args.points, channels=source.channels,
                       **config)
    if not args.init:
        return source, net, options_of(args, source)
    other, _ = load_any(args.init)
    if not initialise_from(net, other):
        raise ValueError(f"{args.init}: no weight fits this network")
    return source, net, options_of(args, source, init=fingerprint(other))


def fingerprint(net):
    """Says in a checkpoint which weights it came from."""
    return hashlib.sha256(b"".join(v.numpy().tobytes() for v in net.state_dict().values())).hexdigest()[:16]


def run_teacher(args):
    clouds, net, options = start(args, binarizer="float", activation=args.activation, dropout=args.dropout)
    loop.train(net, clouds, options, args.out, log=log)


def run_binary(args):
    clouds, net, options = start(args, binarizer=args.binarizer,
                                 estimator=args.estimator or ("bireal" if args.binarizer == "LSR" else None))
    teacher = None
    if args.teacher:
        teacher, _ = loop.load_network(args.teacher)
        options.update(lam=args.lam, eta=args.eta, temperature=args.temperature, norm=args.norm,
                       teacher=fingerprint(teacher))
    loop.train(net, clouds, options, args.out, teacher=teacher, log=log)


def run_grid(args):
    if args.report:
        grid.report(args)
    else:
        grid.run(args, main, log)


def run_eval(args):
    net, classes = load_any(args.checkpoint)
    source = packs.load(args.data, classes, args.side)
    if source.classes != classes:
        raise data.DataError(f"the checkpoint knows the classes {classes}, the data has {source.classes}")
    part = source if args.all and not isinstance(source, images.Split) else source.split(args.fold)[1]
    if isinstance(part, scenes.Scenes):
        eval_scenes(net, part)
    elif isinstance(part, images.Pictures):
        eval_pictures(net, part, source.own)
    else:
        eval_clouds(net, part, args)
    if args.through_daemon:
        run_compare(args)


def eval_clouds(net, part, args):
    points = data.prepared(part, net.config["points"])
    if args.yaw:
        points = data.turn_about_z(points, np.deg2rad(args.yaw))
    log_probs = tasks.predict(net, points)
    overall, mean, per_class = tasks.accuracy(log_probs, part.labels)
    print(f"clouds {len(part)}  overall {overall:.2f} %  mean per class {mean:.2f} %")
    for name, value, count in zip(part.classes, per_class, np.bincount(part.labels, minlength=len(per_class))):
        print(f"  {name:<12} {value:6.2f} %  of {count}")
    if args.save:
        np.savez(args.save, points=points, labels=part.labels, log_probs=log_probs, argmax=log_probs.argmax(1))


def eval_pictures(net, part, own):
    for name, pictures in (("held out", part), ("own part", own)):
        if pictures is not None and len(pictures):
            print(f"{name}: {len(pictures)} pictures")
            for figure, value in dense.figures(net, pictures).items():
                print(f"  {figure:<20} {value:8.3f}")


def eval_scenes(net, part):
    print(f"{'':<18} {'points':>9} {'accuracy':>9}  IoU of " + ", ".join(part.classes))
    rows = [(name, *labels) for (name, _, _), *labels in zip(part.scenes, *tasks.scene_labels(net, part, net.config["points"]))]
    rows.append(("all", np.concatenate([r[1] for r in rows]), np.concatenate([r[2] for r in rows])))
    for name, predicted, expected in rows:
        per_class = scenes.iou(predicted, expected, len(part.classes))
        print(f"  {name:<16} {len(expected):>9} {100 * (predicted == expected).mean():>7.2f} %  "
              + "  ".join(f"{v:.2f} %" if v == v else "-" for v in per_class))


def load_any(path):
    """A checkpoint, the weights of a shipped model, or its folder. -> network, class names."""
    if Path(path).is_dir():
        path = Path(path) / "weights.npz"
    if str(path).endswith(".npz"):
        return weights.load(path)
    net, checkpoint = loop.load_network(path)
    return net, checkpoint["classes"]


def run_pack(args):
    net, classes = load_any(args.checkpoint)
    weights.save(net, classes, args.out)


SKIPPED = 77  # exit code


def run_compare(args):
    net, classes = load_any(args.checkpoint)
    path = Path(args.checkpoint)
    folder = path if path.is_dir() else path.parent
    source = packs.load(args.data, classes, args.side)
    if source.classes != classes and not args.data:
        print(f"SKIP {folder.resolve().name}: no pack of its classes in $XNORD_DATA, and no --data")
        return SKIPPED
    _, validation = source.split(args.fold)
    if not compare.compare(net, classes, str(folder / f"{folder.resolve().name}.xnor"), args.build, validation):
        raise ValueError("the compiled model and PyTorch differ")


def run_export(args):
    net, _ = load_any(args.checkpoint)
    if net.config["kind"] == "mtinet":
        return dense_export.write(net, args.out, *(args.size or (64, 96)), any_size=args.size is None)
    export.write(net, args.out, form_of(args))


def form_of(args):
    return export.Form(args.layout, args.raw, args.fold_bn, args.neighbours, args.gather, args.points, args.batch)


def run_random(args):
    if args.net in PICTURE_SETTINGS:
        run_random_picture(args)
        return
    form = form_of(args)
    net = random_networks.random_network(args.net, FLOAT if args.float else args.binarizer or "LSR", args.seed,
                                         exact_scales=args.raw, pool=args.pool, points=args.points or 1024,
                                         classes=args.classes, channels=args.channels, activation="relu")
    export.write(net, args.out, form)
    if args.pair:
        x, y = random_networks.stable_clouds(net, args.batch or 4, args.points or 1024, args.seed + 1)
        stem = args.out[:-5] if args.out.endswith(".onnx") else args.out
        np.save(stem + ".in.npy", form.arrange(x))
        np.save(stem + ".out.npy", y)
        indices = export.index_inputs(net, torch.from_numpy(x)) if form.neighbours == "inputs" else []
        for i, index in enumerate(indices):
            np.save(f"{stem}.index{i}.npy", index.numpy())


def run_random_picture(args):
    settings = PICTURE_SETTINGS[args.net](args)
    binarizer = settings.pop("binarizer", args.binarizer or "IRNet")
    real = args.float or settings.get("variant") == FLOAT
    net = random_pictures.random_network(args.net, FLOAT if real else binarizer, args.seed, **settings)
    dense_export.write(net, args.out, *args.size)
    if args.pair:
        stem = args.out[:-5] if args.out.endswith(".onnx") else args.out
        random_pictures.write_pair(net, stem, random_pictures.random_picture(*args.size, args.seed + 1))


CAMVID = "camvid_train.npz"


def load_pictures(args):
    source = packs.load(args.data or packs.default(None).with_name(CAMVID), side=args.side)
    if not isinstance(source, images.Split):
        raise data.DataError(f"{args.data}: holds no pictures")
    return source


def run_dense(args):
    source, teacher = load_pictures(args), None
    torch.manual_seed(args.seed)
    binarizer = getattr(args, "binarizer", FLOAT)
    net = make_network("mtinet", binarizer, outputs=dense.outputs(source.pictures), width=args.width, exchanged=args.exchanged,
                       variant=getattr(args, "variant", "f"))
    options = dict(epochs=args.epochs, batch=args.batch, lr=args.lr, seed=args.seed, size=list(args.size), scale=list(args.view),
                   fold=args.fold, early=(None, 0.0))
    if binarizer != FLOAT:
        teacher = loop.load_network(args.teacher)[0].requires_grad_(False)
        options.update(lam=args.lam, gamma=args.gamma, beta=args.beta, temperature=args.temperature)
    start = args.init or getattr(args, "teacher", None)
    if start:
        initialise_from(net, loop.load_network(start)[0])
    loop.train(net, source, options, args.out, teacher, log)


def run_prove(args):
    prover = prove.Prover(f"{args.build}/xnorctl", emulators=args.emulator, log=log)
    for case in prove.few_cases() if args.few else prove.all_cases(args.net, args.binarizer):
        prover.network(*case)
    log(f"{prover.skipped} skipped: rounding alone changes these networks")
    log(f"{prover.passed} passed, {prover.failed} failed")
    return 1 if prover.failed else 0


def log(text):
    print(text, flush=True)


def main(argv=None):
    args = parser().parse_args(argv)
    torch.set_num_threads(getattr(args, "threads", 1))
    try:
        return args.run(args) or 0
    except (data.DataError, ValueError, OSError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
