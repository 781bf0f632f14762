"""Finds the instances in a folder of images on every machine of a Ray cluster.

    pip install maskrcnn 'ray[data]'
    python ray_folder.py photos out --actors 4 --gpus 1            # four actors with a GPU each
    python ray_folder.py s3://bucket/photos s3://bucket/out --weights /shared/model.pth

Folders are local (on several machines: shared) or in object storage, as pyarrow knows it: s3://, gs://, hdfs://.

`out` gets files `part-….jsonl`, each of one batch: a line for an image, with `image` (its path below the folder), `width`, `height`,
`results` (COCO results, as `maskrcnn detect` writes them) and `error` (what is wrong with the image, else null). A file is there whole or
not at all, so a run that was stopped is gone on with by the same command: images that have a line are not looked at again, but with
`--retry` those whose line is an error. Each actor reads its images itself: Ray carries paths and counts alone.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import posixpath
import sys

import pyarrow.fs
import ray
import ray.data

import maskrcnn

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif")


def place(folder):
    """The file system of a folder, and its path there."""
    if "://" not in folder:
        folder = os.path.abspath(folder)
        return pyarrow.fs.LocalFileSystem(), folder
    return pyarrow.fs.FileSystem.from_uri(folder)


def files(folder, endings):
    """Paths of the files below a folder, relative to it, sorted."""
    system, root = place(folder)
    about = system.get_file_info(pyarrow.fs.FileSelector(root, recursive=True, allow_not_found=True))
    names = (posixpath.relpath(one.path, root) for one in about if one.type == pyarrow.fs.FileType.File)
    return sorted(name for name in names if name.lower().endswith(endings))


def done(out, retry):
    """Images that have a line in `out` already."""
    system, root = place(out)
    names = set()
    for part in files(out, (".jsonl",)):
        with system.open_input_stream(posixpath.join(root, part)) as stream:
            lines = map(json.loads, stream.read().decode().splitlines())
            names.update(line["image"] for line in lines if not (retry and line["error"]))
    return names


class Look:
    """One detector, for as long as the actor lives."""

    def __init__(self, folder, out, options, batch, gpus):
        self.folder, self.out, self.batch = place(folder), place(out), batch
        self.detector = maskrcnn.Detector(device=self.device(gpus), **options)
        self.readers = concurrent.futures.ThreadPoolExecutor(8)

    @staticmethod
    def device(gpus):
        """The GPU that Ray gave this actor, among those that Vulkan lists; without one, the default device. Ray tells CUDA's
        programs alone, by a variable that Vulkan does not know."""
        if not gpus:
            return None
        ours = [device.index for device in maskrcnn.devices() if "discrete" in device.kind.lower()]
        given = [int(number) for number in ray.get_gpu_ids()]
        return ours[given[0] % len(ours)] if ours and given else None

    def read(self, name):
        system, root = self.folder
        try:
            with system.open_input_stream(posixpath.join(root, name)) as stream:
                return stream.read()
        except OSError as e:
            return e

    def __call__(self, rows):
        names = [str(name) for name in rows["image"]]
        files = list(self.readers.map(self.read, names))
        good = [file for file in files if isinstance(file, bytes)]
        found = self.detector.detect_iter(good, batch=self.batch, on_error="return")
        lines, counts, errors = [], [], []
        for name, file in zip(names, files):
            one = next(found) if isinstance(file, bytes) else file
            line = {"image": name, "width": None, "height": None, "results": [], "error": None}
            if isinstance(one, maskrcnn.Detections):
                stem = posixpath.splitext(posixpath.basename(name))[0]
                line.update(width=one.width, height=one.height, results=one.to_coco(stem))
            elif isinstance(one, (maskrcnn.ImageError, OSError)):
                line["error"] = f"{one}"
            else:
                # A device that fails says nothing of the image: Ray gives the batch to another actor.
                raise one
            lines.append(line)
            counts.append(len(line["results"]))
            errors.append(line["error"] or "")
        self.write(names, lines)
        return {"image": names, "found": counts, "error": errors}

    def write(self, names, lines):
        """One file for the batch, by the names of its images: done twice, it is the same."""
        system, root = self.out
        part = "part-" + hashlib.sha256("\n".join(names).encode()).hexdigest()[:20] + ".jsonl"
        text = "".join(json.dumps(line) + "\n" for line in lines).encode()
        # Object storage shows a file when it is whole; a folder shows it when it is moved.
        local = isinstance(system, pyarrow.fs.LocalFileSystem)
        path = posixpath.join(root, part)
        with system.open_output_stream(path + ".unfinished" if local else path) as stream:
            stream.write(text)
        if local:
            system.move(path + ".unfinished", path)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("folder", help="where the images are")
    args.add_argument("out", help="where results go")
    args.add_argument("--weights", help="a file that every machine can read, or a published model's name that each has pulled")
    args.add_argument("--score", type=float, help="leave out what scores less")
    args.add_argument("--config", default="{}", help='settings as JSON, such as {"transform": {"min_size": 640}}')
    args.add_argument("--actors", type=int, default=1, help="detectors, of the whole cluster")
    args.add_argument("--gpus", type=float, default=0, help="GPUs for each: 1, or 0.5 for two detectors a GPU; 0 is the default device")
    args.add_argument("--cpus", type=float, default=1, help="CPU cores for each, which decode images")
    args.add_argument("--batch", type=int, default=8, help="images a submit to the GPU")
    args.add_argument("--part", type=int, default=64, help="images a file of results, which is what is lost when a run is stopped")
    args.add_argument("--retry", action="store_true", help="look again at images that could not be used")
    args = args.parse_args()

    names = files(args.folder, ENDINGS)
    place(args.out)[0].create_dir(place(args.out)[1], recursive=True)
    skipped = done(args.out, args.retry)
    wanted = [name for name in names if name not in skipped]
    print(f"{len(names)} images, {len(names) - len(wanted)} of them done already")
    if not wanted:
        return 0
    if not ray.is_initialized():
        ray.init()
    options = {"weights": args.weights, "score": args.score, "config": json.loads(args.config)}
    parts = -(-len(wanted) // args.part)
    looked = ray.data.from_items([{"image": name} for name in wanted], override_num_blocks=parts).map_batches(
        Look,
        fn_constructor_kwargs={
            "folder": args.folder,
            "out": args.out,
            "options": options,
            "batch": args.batch,
            "gpus": args.gpus,
        },
        batch_size=args.part,
        compute=ray.data.ActorPoolStrategy(size=args.actors),
        num_gpus=args.gpus,
        num_cpus=args.cpus,
    )
    images = found = bad = 0
    for row in looked.iter_rows():
        images, found = images + 1, found + int(row["found"])
        if row["error"]:
            bad += 1
            print(f"{row['image']}: {row['error']}", file=sys.stderr)
    print(f"{found} instances in {images - bad} images; {bad} could not be used")
    return 0 if images == len(wanted) else 1


if __name__ == "__main__":
    sys.exit(main())
