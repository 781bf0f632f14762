"""Many images, many threads, and the end of the process."""

import gc
import os
import pathlib
import pickle
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from conftest import DEMO, TINY, same

import maskrcnn

BEGIN = f"import maskrcnn, numpy as np\nd = maskrcnn.Detector(config={TINY})\n"


def python(text, timeout=120):
    """Runs a program of Python's in a process of its own, and gives what it printed."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def singles(detector, pictures):
    return [detector.detect(picture) for picture in pictures]


def test_streams_find_what_single_images_have(detector, pictures, singles):
    assert list(detector.detect_iter(pictures)) == singles, "one by one"
    assert list(detector.detect_iter(iter(pictures), soft_masks=True, batch=3))[0].soft_masks is not None
    for batch in (2, 64):
        together = detector.detect_batch(pictures, batch=batch)
        assert len(together) == len(pictures)
        assert all(same(a, b, 1e-3) for a, b in zip(together, singles)), batch
    assert detector.detect_batch([]) == [] and list(detector.detect_iter(())) == []


def test_pictures_are_copied_when_they_are_taken(detector, pictures, singles):
    """A video's loop has one array for all frames."""
    frame = np.empty_like(pictures[0])

    def frames():
        for picture in (pictures[0], pictures[3]):
            frame[:] = picture
            yield frame
        frame[:] = 0

    assert list(detector.detect_iter(frames())) == [singles[0], singles[3]]


def test_a_bad_image_among_good_ones(detector, pictures, singles):
    wide = np.zeros((1, 60000, 3), np.uint8)
    images = [pictures[0], "no such file.png", np.zeros(3), b"no image", wide, pictures[1]]
    for batch in (1, 4):
        found = list(detector.detect_iter(images, batch=batch, on_error="return"))
        assert len(found) == len(images)
        assert same(found[0], singles[0], 1e-3) and same(found[5], singles[1], 1e-3)
        kinds = [maskrcnn.MissingFileError, TypeError, maskrcnn.ImageError, maskrcnn.ImageError]
        assert all(isinstance(e, kind) for e, kind in zip(found[1:], kinds)), found
        assert "number 4 of those given" in str(found[3])
        stream = detector.detect_iter(images, batch=batch)
        assert same(next(stream), singles[0], 1e-3)
        for kind in kinds:
            with pytest.raises(kind):
                next(stream)
        assert same(next(stream), singles[1], 1e-3) and next(stream, None) is None and next(stream, None) is None


def test_what_the_users_iterator_raises_comes_in_its_place(detector, pictures, singles):
    def images():
        yield pictures[0]
        raise KeyError("mine")

    for on_error in ("raise", "return"):
        stream = detector.detect_iter(images(), on_error=on_error)
        assert next(stream) == singles[0]
        if on_error == "raise":
            with pytest.raises(KeyError):
                next(stream)
        else:
            assert isinstance(next(stream), KeyError)
        assert next(stream, None) is None

    def itself():
        yield pictures[0]
        next(stream)

    stream = detector.detect_iter(itself(), on_error="return")
    assert [type(found) for found in stream] == [maskrcnn.Detections, ValueError]


def test_no_more_than_three_batches_are_taken_ahead(detector, pictures):
    taken = []

    def images():
        for i in range(20):
            taken.append(i)
            yield pictures[0]

    stream = detector.detect_iter(images(), batch=2)
    assert taken == []
    next(stream)
    assert len(taken) == 6
    del stream


def test_options_of_streams(detector):
    for wrong in ({"batch": 0}, {"batch": 65}, {"on_error": "skip"}, {"format": "x"}):
        with pytest.raises(ValueError):
            detector.detect_iter([], **wrong)
    with pytest.raises(OverflowError):
        detector.detect_iter([], batch=-1)
    for wrong in (None, 7):
        with pytest.raises(TypeError):
            detector.detect_iter(wrong)


def test_other_threads_go_on(whole, demo):
    """While the device works for half a second or so, another thread of Python's counts."""
    whole.detect(demo)
    ticks, over = [], threading.Event()

    def count():
        while not over.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    begun = time.perf_counter()
    whole.detect(demo)
    ended = time.perf_counter()
    over.set()
    thread.join()
    during = [t for t in ticks if begun < t < ended]
    longest = max(b - a for a, b in zip([begun, *during], [*during, ended]))
    assert longest < 0.5 * (ended - begun), f"nothing for {longest:.3f} s of {ended - begun:.3f} s"


def test_several_threads_share_a_detector(detector, pictures, singles):
    wrong, threads = [], []

    def look(turn):
        for i in range(3):
            k = (turn + i) % len(pictures)
            if detector.detect(pictures[k]) != singles[k]:
                wrong.append(k)

    threads = [threading.Thread(target=look, args=(turn,)) for turn in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong


def resident():
    """Bytes of memory that this process has."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="LEFT OUT: memory is read from /proc")
def test_memory_stays_as_it_is():
    """Pictures of 768 KiB: a copy that stays of each, or of its results, would be seen."""
    detector = maskrcnn.Detector(config={**TINY, "transform": {"min_size": 96, "max_size": 96}})
    picture = np.full((512, 512, 3), 20, np.uint8)
    picture[100:300, 100:300] = 200

    def some(n):
        for _ in range(n):
            found = detector.detect(picture)
            found.masks, found.rle, found.polygons, found.to_coco(1), pickle.loads(pickle.dumps(found))
        found.overlay(picture)
        assert len(list(detector.detect_iter([picture] * n, batch=2))) == n
        gc.collect()

    some(20)
    before = resident()
    some(150)
    grown = resident() - before
    # lavapipe 22.3 itself keeps 54 KiB of an image that is alone in its batch.
    assert grown < 40 << 20, f"{grown >> 10} KiB more after 300 images"


def test_leaving_early_ends_well():
    out = python(
        BEGIN
        + """
images = [np.zeros((64, 64, 3), np.uint8)] * 50
stream = d.detect_iter(images, batch=4)
print(next(stream))
other = d.detect_iter(images)
next(other)
del stream
raise SystemExit(0)
"""
    )
    assert "Detections: nothing" in out


@pytest.mark.skipif(not hasattr(os, "fork"), reason="LEFT OUT: this system has no fork")
def test_a_fork_is_told():
    out = python(
        BEGIN
        + """
import os, gc
picture = np.zeros((64, 64, 3), np.uint8)
d.detect(picture)
child = os.fork()
if child == 0:
    code = 1
    for use in (lambda: d.detect(picture), lambda: d.detect_batch([picture]), lambda: d.warm_up(64, 64)):
        try:
            use()
        except maskrcnn.DeviceError as e:
            code = 0 if "fork" in str(e) else 2
    del d, use
    gc.collect()
    os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print(len(d.detect(picture)))
"""
    )
    assert out == "0\n"


def test_spawned_processes_bring_detections_back(tmp_path):
    """A detector each, as in Ray's actors; what they find travels."""
    script = tmp_path / "spawn.py"
    script.write_text(
        textwrap.dedent(
            """
            import concurrent.futures, multiprocessing, pickle
            import numpy as np
            import maskrcnn

            def look(path):
                return maskrcnn.Detector(config=%r).detect(path)

            if __name__ == "__main__":
                path = %r
                spawn = multiprocessing.get_context("spawn")
                with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
                    assert pool.submit(look, path).result() == look(path)
                print(len(look(path)))
            """
            % (TINY, str(DEMO))
        )
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and int(done.stdout) > 0, done.stderr


def test_warm_up(detector, pictures):
    detector.warm_up(256, 256)
    for wrong in ((0, 1), (1, 70000)):
        with pytest.raises(maskrcnn.ImageError):
            detector.warm_up(*wrong)
    with pytest.raises(OverflowError):
        detector.warm_up(-1, 5)


def test_a_panic_is_an_exception():
    with pytest.raises(maskrcnn.InternalError, match="as the test asked for"):
        maskrcnn._maskrcnn._panic()


def test_the_demo_by_its_path_in_a_stream(whole):
    assert list(whole.detect_iter([str(DEMO)])) == [whole.detect(DEMO)]
