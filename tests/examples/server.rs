//! The service: what it answers, what it refuses, and how it stops.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use maskrcnn::engine::vision::coco::CocoResult;
use maskrcnn::engine::vision::scene;

use crate::{alone, example, root};

/// One that runs.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: serde_json::Value,
}

impl Answer {
    /// Why it was refused.
    fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_else(|| panic!("{self:?}"))
    }

    /// Refused for now.
    fn assert_later(&self, why: &str) {
        assert!(self.status == 503 && self.error().contains(why), "{self:?}");
        assert!(self.head.to_lowercase().contains("\r\nretry-after: "), "{self:?}");
    }
}

impl Server {
    fn start(options: &[&str]) -> Self {
        let mut server = example("headless_server");
        server.args(["--listen", "127.0.0.1:0"]).args(options).stdout(Stdio::piped());
        server.args(std::env::var("MASKRCNN_DEVICE").iter().flat_map(|name| ["--device", name]));
        let mut child = server.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("it says {line:?}")).to_string();
        Self { child, address }
    }

    /// A request whose body is promised.
    fn begin(&self, line: &str, length: usize) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let head = format!(
            "{line} HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    fn ask(&self, line: &str, body: &[u8]) -> Answer {
        let mut stream = self.begin(line, body.len());
        stream.write_all(body).unwrap();
        answer(stream)
    }

    fn detect(&self, body: &[u8]) -> Answer {
        self.ask("POST /detect", body)
    }

    /// Waits until so many requests are in there.
    fn wait_for(&self, requests: usize) {
        let begun = Instant::now();
        while self.ask("GET /health", &[]).body["requests"] != requests {
            assert!(begun.elapsed() < Duration::from_secs(20), "never {requests} requests");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("it answers {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.into(), body: serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {text}")) }
}

fn png(width: u32, height: u32, seed: u64) -> Vec<u8> {
    let image = scene::nuclei(width, height, seed, 8).unwrap().image;
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_raw(width, height, image.into_rgb()).unwrap();
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A PNG whose header promises more pixels than any image may have.
fn bomb() -> Vec<u8> {
    let mut bytes = png(64, 48, 1);
    bytes[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let sum = crc32fast::hash(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// What the program writes of an image.
fn written(file: &str) -> Vec<CocoResult> {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_maskrcnn"));
    program.current_dir(root()).args(["detect", file, "--out"]).arg(folder.path());
    program.args(std::env::var("MASKRCNN_DEVICE").iter().flat_map(|name| ["--device", name]));
    // The service's device: the program would ask lavapipe for wider vectors, for which other kernels are taken, and sums
    // are added in another order.
    program.env("LP_NATIVE_VECTOR_WIDTH", std::env::var("LP_NATIVE_VECTOR_WIDTH").as_deref().unwrap_or("256"));
    assert!(program.output().unwrap().status.success());
    serde_json::from_slice(&std::fs::read(folder.path().join("demo.json")).unwrap()).unwrap()
}

#[test]
fn it_finds_what_the_program_finds() {
    let _alone = alone();
    let server = Server::start(&[]);
    let demo = std::fs::read(root().join("assets/demo.png")).unwrap();
    let found = server.ask("POST /detect?id=demo", &demo);
    assert_eq!(found.status, 200, "{found:?}");
    assert!(found.head.to_lowercase().contains("content-type: application/json"), "{found:?}");
    // The program's entries are marked with the run, which a service has not.
    let want = written("assets/demo.png");
    let found: Vec<CocoResult> = serde_json::from_value(found.body).unwrap();
    assert!(found.len() > 10 && found == want, "{} detections, and {} of the program", found.len(), want.len());
    // By score, and with another name.
    let few = server.ask("POST /detect?above=0.95&id=12", &demo);
    let want = want.iter().filter(|one| one.score >= 0.95).count();
    assert_eq!(few.body.as_array().unwrap().len(), want);
    assert_eq!(few.body[0]["image_id"], 12);

    // Several at once, of two sizes: each has its own.
    let pictures = [png(120, 90, 3), png(90, 120, 4), png(120, 90, 5)];
    let alone = pictures.each_ref().map(|picture| server.detect(picture).body);
    assert!(alone.iter().all(|found| found.as_array().is_some_and(|all| !all.is_empty())) && alone[0] != alone[2]);
    std::thread::scope(|threads| {
        let ask = |i: usize| (i, server.detect(&pictures[i % 3]));
        let asked: Vec<_> = (0..9).map(|i| threads.spawn(move || ask(i))).collect();
        for (i, answer) in asked.into_iter().map(|thread| thread.join().unwrap()) {
            assert!(answer.status == 200 && answer.body == alone[i % 3], "request {i}: {answer:?}");
        }
    });
}

#[test]
fn what_is_refused_says_why() {
    let _alone = alone();
    let server = Server::start(&["--queue", "2", "--most-mb", "1"]);
    let picture = png(96, 64, 2);
    let large = server.detect(&vec![0; (1 << 20) + 1]);
    assert!(large.status == 413 && large.error().contains("1 MiB; --most-mb"), "{large:?}");
    // A length that is not told is counted.
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream
        .write_all(b"POST /detect HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        .unwrap();
    for _ in 0..17 {
        stream.write_all(b"10000\r\n").unwrap();
        stream.write_all(&[7; 1 << 16]).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(answer(stream).status, 413);

    for unknown in [&b"GIF is not what this is"[..], b"", b"%PDF-1.7"] {
        let refused = server.detect(unknown);
        assert!(refused.status == 415 && refused.error().contains("no image of a kind that is known"), "{refused:?}");
    }
    for broken in [&picture[..picture.len() / 2], &bomb()] {
        let refused = server.detect(broken);
        assert!(refused.status == 422 && refused.error().starts_with("image in the body: "), "{refused:?}");
    }
    assert_eq!(server.ask("POST /detect?above=much", &picture).status, 400);
    assert_eq!(server.ask("GET /detect", &[]).status, 405);
    assert_eq!(server.ask("GET /", &[]).status, 404);

    // Two that take their time with their bodies have both places.
    let mut slow = [0, 1].map(|_| {
        let mut stream = server.begin("POST /detect", picture.len());
        stream.write_all(&picture[..20]).unwrap();
        stream
    });
    server.wait_for(2);
    server.detect(&picture).assert_later("all of its 2 places are taken");
    // One goes away, and its place is another's.
    let [first, second] = &mut slow;
    second.shutdown(std::net::Shutdown::Both).unwrap();
    server.wait_for(1);
    assert_eq!(server.detect(&picture).status, 200);
    first.write_all(&picture[20..]).unwrap();
    let [first, _] = slow;
    assert_eq!(answer(first).status, 200);
    server.wait_for(0);
}

#[cfg(unix)]
#[test]
fn it_stops_when_what_it_has_is_done() {
    let _alone = alone();
    let mut server = Server::start(&[]);
    let picture = png(96, 64, 2);
    let mut under_way = server.begin("POST /detect", picture.len());
    under_way.write_all(&picture[..20]).unwrap();
    server.wait_for(1);
    let told = Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status().unwrap();
    assert!(told.success());
    let begun = Instant::now();
    while server.ask("GET /health", &[]).status != 503 {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not stop");
        std::thread::sleep(Duration::from_millis(20));
    }
    server.detect(&picture).assert_later("it stops");
    assert!(server.child.try_wait().unwrap().is_none(), "it has a request");
    under_way.write_all(&picture[20..]).unwrap();
    let found = answer(under_way);
    assert!(found.status == 200 && !found.body.as_array().unwrap().is_empty(), "{found:?}");
    let begun = Instant::now();
    let ended = loop {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not end");
        if let Some(status) = server.child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(ended.success() && TcpStream::connect(&server.address).is_err());
}
