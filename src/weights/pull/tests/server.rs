//! A web server that does what a test says, one step for each request, and writes down what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a client asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub path: String,
    /// `Range`.
    pub range: Option<String>,
    /// `If-Range`.
    pub if_range: Option<String>,
}

/// Answers one request.
pub(super) type Step = Box<dyn FnOnce(&Request, &mut TcpStream) + Send>;

/// It refuses connections once its steps are used up.
pub(super) struct Server {
    /// Its address, with `http://`.
    pub origin: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for step in steps {
                let (mut stream, _) = listener.accept().unwrap();
                let request = read(&stream);
                log.lock().unwrap().push(request.clone());
                step(&request, &mut stream);
                // A plain close with bytes unread would reset the connection.
                let _ = stream.shutdown(Shutdown::Write);
                let _ = stream.read_to_end(&mut Vec::new());
            }
        });
        Self { origin, asked }
    }

    /// What it was asked so far.
    pub(super) fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// The ranges that it was asked for so far.
    pub(super) fn ranges(&self) -> Vec<Option<String>> {
        self.asked().into_iter().map(|r| r.range).collect()
    }
}

fn read(stream: &TcpStream) -> Request {
    let mut lines = BufReader::new(stream).lines().map(|l| l.unwrap());
    let first = lines.next().unwrap();
    let mut request = Request { path: first.split(' ').nth(1).unwrap().into(), ..Request::default() };
    for line in lines.take_while(|l| !l.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value.into()),
            "if-range" => request.if_range = Some(value.into()),
            _ => {}
        }
    }
    request
}

/// The head of an answer; the body follows.
pub(super) fn head(stream: &mut TcpStream, status: &str, headers: &[(&str, String)]) {
    let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    stream.write_all((text + "\r\n").as_bytes()).unwrap();
}

/// Sends bytes; the client may have hung up.
pub(super) fn send(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).and_then(|()| stream.flush()).is_ok()
}

/// An answer without a file.
pub(super) fn status(status: &'static str, headers: &[(&'static str, &str)]) -> Step {
    let headers: Vec<_> = headers.iter().map(|&(n, v)| (n, v.to_owned())).collect();
    Box::new(move |_, stream| head(stream, status, &headers))
}

/// `content`, all of it whatever was asked for, but no more than `most` bytes are sent.
pub(super) fn whole(content: &[u8], most: usize) -> Step {
    let content = content.to_vec();
    Box::new(move |_, stream| {
        let headers = [("Content-Length", content.len().to_string()), ("ETag", "\"one\"".into())];
        head(stream, "200 OK", &headers);
        send(stream, &content[..most.min(content.len())]);
    })
}

/// What was asked for of `content`, but no more than `most` bytes are sent.
pub(super) fn range(content: &[u8], most: usize) -> Step {
    let content = content.to_vec();
    Box::new(move |request, stream| {
        let Some(start) = request.range.as_deref().and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')) else {
            return whole(&content, most)(request, stream);
        };
        let start: usize = start.parse().unwrap();
        let rest = &content[start..];
        let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
        let length = rest.len().to_string();
        head(
            stream,
            "206 Partial Content",
            &[("Content-Range", range), ("Content-Length", length), ("ETag", "\"one\"".into())],
        );
        send(stream, &rest[..most.min(rest.len())]);
    })
}
