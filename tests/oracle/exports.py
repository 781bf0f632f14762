"""What `maskrcnn detect --save` wrote, read back by the programs that it is for.

    maskrcnn detect IMAGES --out OUT --score 0.3 --pixel-size 0.25um \
        --save coco,png,dataset,labelme,yolo,geojson,imagej,labels16,labels32,csv,cutouts,html
    python tests/oracle/exports.py OUT FOLDER_OF_IMAGES

Needs pycocotools, tifffile, roifile, labelme, ultralytics, geojson, shapely and scikit-image. The masks of the COCO results
are what all else is compared with, pixel by pixel; what a format cannot hold (holes, all parts but the largest) is taken
from them first.
"""

import base64
import csv
import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import shapely
from PIL import Image
from pycocotools import mask as codes
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy import ndimage
from skimage import measure

OUT, IMAGES = Path(sys.argv[1]), Path(sys.argv[2])
PIXEL = 0.25
# What it adds to an axis that a pixel is a square, of which scikit-image makes a point: 4 times its deviation.
SQUARE = 4 / np.sqrt(12)
counts = {}


def check(what, good, about=""):
    done, bad = counts.get(what, (0, 0))
    counts[what] = (done + 1, bad + (not good))
    if not good and bad < 3:
        print(f"{what}: {about}", file=sys.stderr)


def filled(mask):
    return ndimage.binary_fill_holes(mask)


def largest(mask):
    labels, n = ndimage.label(mask)
    if n < 2:
        return mask
    sizes = ndimage.sum(mask, labels, range(1, n + 1))
    return labels == 1 + int(np.argmax(sizes))


def raster(geometry, shape):
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return shapely.contains_xy(geometry, x, y)


def masks_of(stem):
    found = json.loads((OUT / f"{stem}.json").read_text())
    return found, [codes.decode(r["segmentation"]).astype(bool) for r in found]


def label_maps(stem, masks, shape):
    import tifffile

    want = np.zeros(shape, int)
    for i in reversed(range(len(masks))):
        want[masks[i]] = i + 1
    for bits in (16, 32):
        with tifffile.TiffFile(OUT / f"labels{bits}" / f"{stem}.tif") as tif:
            got, page = tif.asarray(), tif.pages[0]
            check(f"tifffile, labels{bits}", got.dtype == np.dtype(f"uint{bits}") and np.array_equal(got, want), stem)
            x, y = page.tags["XResolution"].value, tif.imagej_metadata or {}
            check("tifffile, resolution", abs(x[1] / x[0] - PIXEL) < 1e-9 and y.get("unit") == "um", f"{x} {y}")


def labelme_file(stem, masks, shape):
    from labelme._label_file import LabelFile
    from labelme.utils import shape_to_mask

    path = OUT / "labelme" / f"{stem}.json"
    try:
        shapes = LabelFile(str(path)).shapes
    except Exception as e:
        check("labelme, LabelFile", False, f"{stem}: {e!r}")
        return
    check("labelme, LabelFile", (path.parent / json.loads(path.read_text())["imagePath"]).is_file(), stem)
    for i, mask in enumerate(masks):
        got = np.zeros(shape, bool)
        for s in shapes:
            if s["group_id"] == i + 1:
                got |= shape_to_mask(shape, s["points"], shape_type="polygon")
        # A part that lies in a hole of another is within the filled one.
        labels, n = ndimage.label(mask)
        want = np.zeros(shape, bool)
        for part in range(1, n + 1):
            want |= filled(labels == part)
        check("labelme, pixels", np.array_equal(got, want), f"{stem} {i}: {(got ^ want).sum()} of {want.sum()}")


def yolo_file(stem, image, masks, shape):
    from ultralytics.data.utils import polygon2mask, verify_image_label

    label = OUT / "yolo" / "labels" / f"{stem}.txt"
    got = verify_image_label((str(image), str(label), "", False, 1, 0, 0, False))
    segments, message = got[3] or [], got[9]
    classes = got[1]
    check("ultralytics, verify_image_label", classes is not None and len(classes) == len(masks) and not message, f"{stem}: {message}")
    for segment, mask in zip(segments, masks):
        polygon = (segment * np.array(shape[::-1])).reshape(1, -1)
        drawn = polygon2mask(shape, polygon, downsample_ratio=1).astype(bool)
        want = filled(largest(mask))
        check("ultralytics, pixels", np.array_equal(drawn, want), f"{stem}: {(drawn ^ want).sum()} of {want.sum()}")


def geojson_file(stem, masks, shape):
    import geojson

    text = (OUT / "geojson" / f"{stem}.geojson").read_text()
    check("geojson, is_valid", geojson.loads(text).is_valid, stem)
    for feature, mask in zip(json.loads(text)["features"], masks):
        geometry = shapely.geometry.shape(feature["geometry"])
        check("shapely, is_valid", geometry.is_valid, f"{stem}: {shapely.is_valid_reason(geometry)}")
        check("shapely, pixels", np.array_equal(raster(geometry, shape), mask), stem)


def imagej_file(stem, masks, shape):
    import roifile

    path = OUT / "imagej" / f"{stem}.zip"
    if not masks:
        check("roifile, empty zip", zipfile.ZipFile(path).namelist() == [], stem)
        return
    rois = roifile.roiread(path)
    check("roifile, regions", len(rois) == len(masks) and zipfile.ZipFile(path).testzip() is None, stem)
    for roi, mask in zip(rois, masks):
        inside = np.zeros(shape, bool)
        for ring in roi.coordinates(multi=True):
            inside ^= raster(shapely.Polygon(ring), shape)
        check("roifile, pixels", np.array_equal(inside, mask), f"{stem} {roi.name}")


def near(a, b, least=1e-4):
    return abs(float(a) - float(b)) <= least * max(1.0, abs(float(b)))


def table(rows, name, masks, picture):
    rows = [r for r in rows if r["image"].endswith(name)]
    check("csv, rows", len(rows) == len(masks), name)
    for row, mask in zip(rows, masks):
        p = measure.regionprops(mask.astype(np.uint8))[0]
        y, x = p.centroid
        perimeter = measure.perimeter_crofton(mask, directions=4)
        for column, want in [
            ("area_px2", p.area),
            ("area_um2", p.area * PIXEL**2),
            ("centroid_x_um", (x + 0.5) * PIXEL),
            ("centroid_y_um", (y + 0.5) * PIXEL),
            ("perimeter_um", perimeter * PIXEL),
            ("circularity", min(1, 4 * np.pi * p.area / perimeter**2)),
            ("major_axis_um", np.hypot(p.axis_major_length, SQUARE) * PIXEL),
            ("minor_axis_um", np.hypot(p.axis_minor_length, SQUARE) * PIXEL),
            ("mean_red", picture[..., 0][mask].mean()),
            ("integrated_blue", picture[..., 2][mask].sum(dtype=int)),
        ]:
            check(f"scikit-image, {column}", near(row[column], want, 5e-4 if "mean" in column else 1e-4), f"{name}: {row[column]}, {want}")
        # From the x axis to the longer one, anticlockwise; scikit-image measures from the rows' axis.
        angle = (np.degrees(p.orientation) + 90) % 180
        off = abs(float(row["angle_deg"]) - angle) % 180
        round_ = p.axis_major_length - p.axis_minor_length < 0.01
        check("scikit-image, angle", round_ or min(off, 180 - off) < 0.02, f"{name}: {row['angle_deg']}, {angle}")


def cutouts(stem, masks):
    files = sorted((OUT / "cutouts" / stem).glob("*.png"))
    check("Pillow, cut-outs", len(files) == len(masks), stem)
    for file, mask in zip(files, masks):
        alpha = np.asarray(Image.open(file).convert("RGBA"))[..., 3]
        check("Pillow, alpha", (alpha == 255).sum() == mask.sum() and set(np.unique(alpha)) <= {0, 255}, str(file))


def dataset(results):
    coco = COCO(str(OUT / "annotations" / "instances.json"))
    by_file = {Path(i["file_name"]).stem: i["id"] for i in coco.dataset["images"]}
    found = []
    for stem, (entries, masks) in results.items():
        notes = coco.loadAnns(coco.getAnnIds(by_file[stem]))
        check("pycocotools, annotations", len(notes) == len(masks), stem)
        for note, mask in zip(notes, masks):
            same = np.array_equal(coco.annToMask(note).astype(bool), mask) and note["area"] == mask.sum()
            check("pycocotools, annToMask", same, stem)
        found += [{**e, "image_id": by_file[stem]} for e in entries]
    judge = COCOeval(coco, coco.loadRes(found), "segm")
    judge.params.maxDets = [1, 100, 1000]
    judge.evaluate()
    judge.accumulate()
    precision = judge.eval["precision"]
    ap = precision[precision > -1].reshape(-1).mean() if (precision > -1).any() else 0
    # Of all sizes and 1000 results an image.
    ap = judge.eval["precision"][:, :, :, 0, 2].mean()
    check("pycocotools, COCOeval of the results is 1", abs(ap - 1) < 1e-9, ap)


def page(stems):
    text = (OUT / "index.html").read_text()
    check("html, entries", text.count("<article ") == len(stems), text.count("<article "))
    first = text.split("data:image/jpeg;base64,")[1].split('"')[0]
    check("html, thumbnails", Image.open(io.BytesIO(base64.b64decode(first))).size[0] > 0)


def main():
    results = {}
    with open(OUT / "measurements.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for path in sorted(OUT.glob("*.json")):
        image = next(iter(IMAGES.glob(f"{path.stem}.*")), None)
        if path.stem == "summary" or image is None:
            continue
        picture = np.asarray(Image.open(image).convert("RGB"))
        shape = picture.shape[:2]
        results[path.stem] = found, masks = masks_of(path.stem)
        label_maps(path.stem, masks, shape)
        labelme_file(path.stem, masks, shape)
        yolo_file(path.stem, image, masks, shape)
        geojson_file(path.stem, masks, shape)
        imagej_file(path.stem, masks, shape)
        table(rows, image.name, masks, picture)
        cutouts(path.stem, masks)
    dataset(results)
    page(results)
    print(f"{len(results)} images, {sum(len(r[0]) for r in results.values())} instances")
    for what, (done, bad) in counts.items():
        print(f"{what:45} {done - bad} of {done}")
    sys.exit(any(bad for _, bad in counts.values()))


main()
