"""Writes image files of each format with random settings, by several libraries, reads them as `detect` does, and compares
the pixels with what was put in (lossless formats) or with what Pillow reads (lossy ones).

A file is `same` (every byte), `close` (a lossy one, within the rounding of two decoders), `refused` in words, or `WRONG`:
other pixels, or a valid file that is called corrupt. Exits with 1 where there is one of these.

    cargo build --example decode
    python formats.py --decode ../../target/debug/examples/decode --count 300 --seed 1 [--only tiff] [--keep DIR]

Needs numpy, Pillow, tifffile and imagecodecs; ImageMagick's `convert` is used where there is one.
"""

import argparse
import collections
import io
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import warnings

import imagecodecs
import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

# Of two JPEG decoders, the one that spreads chroma differently may be off by so much on average. Between 4:2:0's samples
# single pixels differ by more, and so do pictures that are narrower than a block and hence mostly border.
MEAN_TOLERANCE = 1.5
NARROW = 16
NARROW_TOLERANCE = 6
CONVERT = shutil.which("convert") or shutil.which("magick")


def picture(r, kind):
    """A smooth field with blobs, noise and a sharp edge: uint8, grey or RGB."""
    h, w = r.randint(1, 150), r.randint(1, 150)
    g = np.random.default_rng(r.randrange(2**32))
    y, x = np.mgrid[:h, :w]
    planes = []
    for _ in range(3 if kind == "RGB" else 1):
        a, b, c = g.uniform(0.01, 0.2, 3)
        p = 120 + 60 * np.sin(a * x + c) + 50 * np.cos(b * y) + g.normal(0, r.choice([0, 3, 20]), (h, w))
        p[:, : w // 3] += r.randint(-60, 60)
        planes.append(np.clip(p, 0, 255).astype(np.uint8))
    return planes[0] if kind == "L" else np.dstack(planes)


def rgb(a):
    return np.dstack([a] * 3) if a.ndim == 2 else a[..., :3]


def pillow_rgb(data):
    """As Pillow reads it, or where it knows no such file (RGB of 1, 2 or 4 bits, which ImageMagick writes), as ImageMagick does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return np.array(Image.open(io.BytesIO(data)).convert("RGB"))
        except UnidentifiedImageError:
            out = subprocess.run([CONVERT, "-", "-depth", "8", "PNG24:-"], input=data, capture_output=True, check=True)
            return np.array(Image.open(io.BytesIO(out.stdout)).convert("RGB"))


def pillow(a, form, mode=None, **options):
    out = io.BytesIO()
    image = Image.fromarray(a)
    (image.convert(mode) if mode else image).save(out, form, **options)
    return out.getvalue()


def magick(r, a, target, *options):
    """ImageMagick's file of an array; None without it."""
    if not CONVERT:
        return None
    with tempfile.TemporaryDirectory() as d:
        source, out = pathlib.Path(d, "in.png"), pathlib.Path(d, "out")
        Image.fromarray(a).save(source)
        run = subprocess.run([CONVERT, source, "-strip", *options, f"{target}:{out}"], capture_output=True)
        return out.read_bytes() if run.returncode == 0 and out.exists() else None


def with_alpha(r, a):
    alpha = np.random.default_rng(r.randrange(2**32)).integers(0, 256, a.shape[:2], dtype=np.uint8)
    return np.dstack([a, alpha])


# Each writer gives a label, the bytes, and the pixels that are right: an array, or None for what Pillow reads.


def png(r):
    a = picture(r, r.choice(["L", "RGB"]))
    level = r.randint(0, 9)
    way = r.choice(["pillow", "pillow-alpha", "pillow-P", "pillow-1", "pillow-16", "codecs", "codecs-16", "magick", "magick-16"])
    if way == "pillow":
        return way, pillow(a, "PNG", compress_level=level, optimize=r.random() < 0.3), rgb(a)
    if way == "pillow-alpha":
        return way, pillow(with_alpha(r, a), "PNG", compress_level=level), rgb(a)
    if way == "pillow-P":
        return way, pillow(a, "PNG", "P", bits=r.choice([1, 2, 4, 8])), None
    if way == "pillow-1":
        return way, pillow(a, "PNG", "1"), None
    if way == "pillow-16":
        g = picture(r, "L")
        return way, pillow(g.astype(np.uint16) * 257, "PNG"), rgb(g) if g.max() > 127 else "dark"
    if way == "codecs":
        return way, imagecodecs.png_encode(r.choice([a, with_alpha(r, a)]), level=level), rgb(a)
    if way == "codecs-16":
        return way, imagecodecs.png_encode(a.astype(np.uint16) * 257, level=level), rgb(a) if a.max() > 127 else "dark"
    options = ["-interlace", r.choice(["PNG", "None"]), "-quality", str(r.randrange(0, 100))]
    if way == "magick-16":
        return way, magick(r, a, "PNG", *options, "-depth", "16"), rgb(a) if a.max() > 127 else "dark"
    return way, magick(r, a, r.choice(["PNG", "PNG24", "PNG32"]), *options), rgb(a)


def jpeg(r):
    a = picture(r, r.choice(["L", "RGB", "RGB"]))
    way = r.choice(["pillow", "pillow", "pillow-CMYK", "codecs", "magick"])
    quality = r.randint(10, 100)
    more = {"restart_marker_blocks": r.randint(1, 9)} if r.random() < 0.3 else {}
    if way.startswith("pillow"):
        mode = "CMYK" if way == "pillow-CMYK" else None
        if a.ndim == 3 and not mode:
            more["subsampling"] = r.choice([0, 1, 2])
        flags = {"progressive": r.random() < 0.5, "optimize": r.random() < 0.5}
        return way, pillow(a, "JPEG", mode, quality=quality, **flags, **more), None
    sampling = r.choice(["444", "422", "420", "411", "440"]) if a.ndim == 3 else None
    if way == "codecs":
        return way, imagecodecs.jpeg8_encode(a, level=quality, subsampling=sampling, optimize=r.random() < 0.5), None
    factor = r.choice(["1x1", "2x1", "1x2", "2x2", "4x1", "4x2"])
    interlace = ["-interlace", r.choice(["None", "Plane", "JPEG"])]
    return way, magick(r, a, "JPEG", "-sampling-factor", factor, "-quality", str(quality), *interlace), None


TIFF_PACKINGS = [None, None, "lzw", "lzw", "zlib", "packbits", "zstd", "lzma", "jpeg2000", "lerc", "webp", "jpeg", "jpegxl"]


def tiff(r):
    a = picture(r, r.choice(["L", "RGB"]))
    way = r.choice(["tifffile"] * 4 + ["pillow", "magick"])
    if way == "pillow":
        packing = r.choice([None, "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "zstd", "lzma"])
        mode = r.choice([None, None, "P", "1", "CMYK"])
        if mode == "1":
            packing = r.choice([packing, "group4", "group3", "tiff_ccitt"])
        options = {"compression": packing} if packing else {}
        big = {"big_tiff": True} if r.random() < 0.2 else {}
        return way, pillow(a, "TIFF", mode, **options, **big), None
    if way == "magick":
        packing = r.choice(["None", "LZW", "Zip", "RLE", "JPEG"])
        depth = r.choice(["1", "2", "4", "8", "8", "16"])
        options = ["-compress", packing, "-depth", "8" if packing == "JPEG" else depth, "-endian", r.choice(["LSB", "MSB"])]
        if r.random() < 0.3:
            options += ["-define", f"tiff:tile-geometry={16 * r.randint(1, 5)}x{16 * r.randint(1, 5)}"]
        if r.random() < 0.2:
            options += ["-interlace", "Plane"]
        data = magick(r, a, r.choice(["TIFF", "TIFF64"]), *options)
        return f"magick-{packing}", data, rgb(a) if packing != "JPEG" and depth in ("8", "16") else None
    packing = r.choice(TIFF_PACKINGS)
    kind = r.choice(["u8", "u8", "u16", "u16", "u16-12", "u32", "i16", "f16", "f32", "f64", "packed"])
    if packing in ("jpeg", "webp", "jpeg2000", "lerc", "jpegxl"):
        kind = "u8"
    f = a.astype(np.float64) / 255
    data, right = {
        "u8": (a, rgb(a)),
        "u16": (a.astype(np.uint16) * 257, rgb(a) if a.max() > 127 else "dark"),
        "u16-12": (a.astype(np.uint16) * 16, "twelve"),
        "u32": (a.astype(np.uint32) * 0x01010101, rgb(a) if a.max() > 127 else "dark"),
        "i16": (a.astype(np.int16) * 128, "close" if a.max() > 127 else "dark"),
        "f16": (f.astype(np.float16), "close"),
        "f32": (f.astype(np.float32), rgb(a)),
        "f64": (f, rgb(a)),
        "packed": (a, rgb(a)),
    }[kind]
    options = {"photometric": "rgb" if a.ndim == 3 else r.choice(["minisblack"] * 3 + ["miniswhite"])}
    if options["photometric"] == "miniswhite":
        if kind not in ("u8", "u16", "u32"):
            options["photometric"] = "minisblack"
        else:
            data = np.iinfo(data.dtype).max - data
            if kind != "u8" and a.min() > 127:
                right = "dark"
            elif kind != "u8":
                right = rgb(a)
    if kind == "packed":
        bits = r.choice([10, 12, 14])
        data = np.round(a.astype(np.float64) * (2**bits - 1) / 255).astype(np.uint16)
        options["bitspersample"] = bits
        packing = None
    if a.ndim == 3 and packing != "jpeg" and r.random() < 0.3 and kind != "packed":
        data, options["planarconfig"] = np.moveaxis(data, -1, 0), "separate"
    elif a.ndim == 3 and r.random() < 0.3 and packing != "jpeg" and kind == "u8":
        data, options["extrasamples"] = with_alpha(r, data), ["unassalpha"]
    elif a.ndim == 2 and packing is None and r.random() < 0.2 and kind != "packed":
        data, options["planarconfig"] = np.dstack([data] * r.choice([2, 5])), "contig"
        if options["photometric"] == "miniswhite" and kind == "u8":
            right = rgb(a)
    if kind != "packed":
        if r.random() < 0.5:
            options["tile"] = (16 * r.randint(1, 6), 16 * r.randint(1, 6))
        elif r.random() < 0.7:
            options["rowsperstrip"] = r.randint(1, a.shape[0])
        if packing in ("lzw", "zlib", "zstd", "lzma") and r.random() < 0.5:
            options["predictor"] = True
        options["byteorder"] = r.choice("<>")
    options["bigtiff"] = r.random() < 0.3
    if packing:
        options["compression"] = packing
    if packing == "jpeg":
        if a.ndim == 3 and r.random() < 0.5:
            options["photometric"] = "ycbcr"
        elif options["photometric"] == "miniswhite":
            return "skip", None, None
        options["compressionargs"] = {"level": r.randint(70, 100)}
        right = None
    if packing == "webp" and (a.ndim == 2 or options.get("planarconfig") == "separate"):
        return "skip", None, None
    out = io.BytesIO()
    try:
        tifffile.imwrite(out, data, **options)
    except Exception:
        # Not every combination can be written.
        return "skip", None, None
    return f"tifffile-{kind}-{packing}", out.getvalue(), "tifffile" if right is None else right


def bmp(r):
    a = picture(r, r.choice(["L", "RGB"]))
    way = r.choice(["pillow", "pillow-P", "pillow-1", "pillow-alpha", "codecs", "magick", "magick"])
    if way == "pillow":
        return way, pillow(a, "BMP"), rgb(a)
    if way == "pillow-alpha":
        return way, pillow(with_alpha(r, picture(r, "RGB")), "BMP"), None
    if way in ("pillow-P", "pillow-1"):
        return way, pillow(a, "BMP", way[-1]), None
    if way == "codecs":
        return way, imagecodecs.bmp_encode(a), rgb(a)
    target = r.choice(["BMP", "BMP2", "BMP3"])
    options = r.choice([[], ["-compress", "RLE"], ["-type", "Palette", "-colors", "16"], ["-colors", "2"]])
    return f"magick-{target}-{' '.join(options)}", magick(r, a, target, *options), None


def webp(r):
    a = picture(r, "RGB")
    way = r.choice(["pillow", "pillow-lossy", "pillow-alpha", "codecs", "codecs-lossy", "magick"])
    if way == "pillow":
        return way, pillow(a, "WEBP", lossless=True, method=r.randint(0, 6), quality=r.randint(0, 100)), a
    if way == "pillow-lossy":
        return way, pillow(a, "WEBP", quality=r.randint(1, 100), method=r.randint(0, 6)), None
    if way == "pillow-alpha":
        return way, pillow(with_alpha(r, a), "WEBP", lossless=True, exact=True), a
    if way == "codecs":
        return way, imagecodecs.webp_encode(a, lossless=True), a
    if way == "codecs-lossy":
        return way, imagecodecs.webp_encode(a, level=r.randint(1, 100)), None
    return way, magick(r, a, "WEBP", "-quality", str(r.randint(1, 100))), None


def gif(r):
    a = picture(r, r.choice(["L", "RGB"]))
    way = r.choice(["pillow", "pillow", "codecs", "magick", "animation"])
    if way == "pillow":
        options = {"transparency": r.randint(0, 5)} if r.random() < 0.3 else {}
        return way, pillow(a, "GIF", "P", interlace=r.random() < 0.5, **options), None
    if way == "codecs":
        try:
            return way, imagecodecs.gif_encode(picture(r, "L")), None
        except imagecodecs.GifError:
            # It does not write all sizes.
            return way, None, None
    if way == "magick":
        options = ["-colors", str(r.choice([2, 3, 16, 200, 256])), "-interlace", r.choice(["GIF", "None"])]
        return way, magick(r, a, "GIF", *options), None
    frames = [Image.fromarray(x).convert("P") for x in (a, a[::-1].copy(), a[:, ::-1].copy())]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=50)
    return way, out.getvalue(), None


WRITERS = {"png": png, "jpeg": jpeg, "tiff": tiff, "bmp": bmp, "webp": webp, "gif": gif}
# What a refusal may not say of a file that is valid.
BLAME = re.compile(r"corrupt|damaged|ends too early|panick|Unknown\(|not an image")


def judge(form, data, right, got):
    """`same`, `close` or why not."""
    if isinstance(right, str) and right == "tifffile":
        right = rgb(tifffile.imread(io.BytesIO(data)))
        limit = MEAN_TOLERANCE
    elif isinstance(right, str):
        # Values of more than 8 bits that do not use all of them: stretched to those in use.
        values = tifffile.imread(io.BytesIO(data)) if form == "tiff" else np.array(Image.open(io.BytesIO(data)))
        page = tifffile.TiffFile(io.BytesIO(data)).pages[0] if form == "tiff" else None
        if page is not None and page.planarconfig == 2 and page.photometric == 2:
            values = np.moveaxis(values, 0, -1)
        if page is not None and page.photometric != 2 and values.ndim == 3:
            values = values[..., 0]
        if right == "close":
            top = 32767 if values.dtype == np.int16 else 1.0
        else:
            top = 2 ** int(values.max()).bit_length() - 1
        scaled = values.astype(np.float64) / max(top, 1) * 255
        if page is not None and page.photometric == 0:
            scaled = 255 - scaled
        right, limit = rgb(np.floor(scaled + 0.5)), 0.51
    elif right is None:
        right, limit = pillow_rgb(data), MEAN_TOLERANCE if form in ("jpeg", "webp") else 0
        if form == "tiff" and tifffile.TiffFile(io.BytesIO(data)).pages[0].compression == 7:
            limit = MEAN_TOLERANCE
    else:
        limit = 0
    if got.shape != right.shape:
        return f"WRONG size {got.shape} for {right.shape}"
    if limit == MEAN_TOLERANCE and min(got.shape[:2]) < NARROW:
        limit = NARROW_TOLERANCE
    difference = np.abs(got.astype(float) - right.astype(float))
    if difference.max() == 0:
        return "same"
    if difference.mean() <= limit:
        return "close"
    return f"WRONG pixels: {difference.mean():.2f} on average, {difference.max():.0f} at most"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--decode", required=True, type=pathlib.Path, help="the built example `decode`")
    p.add_argument("--count", type=int, default=300, help="files of each format")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only", choices=WRITERS, help="one format")
    p.add_argument("--keep", type=pathlib.Path, help="folder for the files that are wrong")
    args = p.parse_args()
    bad = 0
    for form in [args.only] if args.only else WRITERS:
        r = random.Random(f"{args.seed} {form}")
        files, unwritten = [], collections.Counter()
        while len(files) < args.count:
            try:
                label, data, right = WRITERS[form](r)
            except RuntimeError as e:
                # A codec that cannot write what it was given; imagecodecs 2026 has no room for small pictures of 16 bits.
                unwritten[f"{type(e).__name__}: {e}"] += 1
                assert unwritten.total() < args.count, unwritten
                continue
            if data is not None:
                files.append((label, data, right))
        verdicts, reasons = collections.Counter(), collections.Counter()
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            names = [f"{i:04}.{form}" for i in range(len(files))]
            for name, (_, data, _) in zip(names, files):
                (folder / name).write_bytes(data)
            paths = [folder / n for n in names]
            run = subprocess.run([args.decode, folder, *paths], capture_output=True, text=True)
            lines = {n: rest for n, rest in (line.split("\t", 1) for line in run.stdout.splitlines())}
            for name, (label, data, right) in zip(names, files):
                state, text = lines.get(name, "error\tpanicked: no line").split("\t", 1)
                if state == "ok":
                    verdict = judge(form, data, right, np.array(Image.open(folder / f"{name}.png")))
                else:
                    reason = re.sub(r"image \S+: ", "", text)
                    verdict = f"WRONG refusal: {reason}" if BLAME.search(reason) else "refused"
                    reasons[reason] += verdict == "refused"
                kind = verdict.split()[0]
                verdicts[kind] += 1
                if kind == "WRONG":
                    bad += 1
                    print(f"{form} {name} by {label}: {verdict}")
                    if args.keep:
                        args.keep.mkdir(parents=True, exist_ok=True)
                        (args.keep / name).write_bytes(data)
        print(f"{form}: " + ", ".join(f"{n} {k}" for k, n in sorted(verdicts.items())))
        for reason, n in reasons.most_common():
            if n:
                print(f"    {n} × {reason}")
        for reason, n in unwritten.items():
            print(f"    {n} not written: {reason}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
