use std::io::Read;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use super::server::{Server, head, range, send, status, whole};
use super::*;

const ALL: usize = usize::MAX;

#[test]
fn a_whole_file_comes_once() {
    let mut place = Place::new();
    let server = Server::new(vec![whole(&place.content, ALL)]);
    place.pull(&server).unwrap();
    let asked = server.asked();
    assert_eq!((asked[0].path.clone(), &asked[0].range), (format!("/{}", place.p.file()), &None));
    let total = place.p.bytes;
    assert_eq!(place.heard[0], Progress { done: 0, total, resumed_from: 0, cuts: 0 });
    assert_eq!(*place.heard.last().unwrap(), Progress { done: total.unwrap(), total, resumed_from: 0, cuts: 0 });
    assert!(place.heard.is_sorted_by_key(|at| at.done));
    // It is there now.
    place.pull(&server).unwrap();
    assert_eq!((server.asked().len(), place.heard.len()), (1, 0));
}

#[test]
fn a_cut_connection_is_taken_up_again() {
    let mut place = Place::new();
    let c = &place.content;
    let server = Server::new(vec![whole(c, 70_000), range(c, 50_001), range(c, 0), range(c, ALL)]);
    place.pull(&server).unwrap();
    assert_eq!(server.ranges(), [None, from(70_000), from(120_001), from(120_001)]);
    // The server's own name for the file makes sure that it is still that file.
    assert!(server.asked()[1..].iter().all(|r| r.if_range.as_deref() == Some("\"one\"")));
    assert_eq!(place.heard.last().unwrap().cuts, 3);
}

#[test]
fn a_connection_cut_for_good_leaves_the_part_for_the_next_call() {
    let mut place = Place::new();
    let c = place.content.clone();
    let reason = place.failure(&Server::new(vec![whole(&c, 90_000), range(&c, 7), range(&c, 0), range(&c, 0)]));
    assert!(
        reason.starts_with("the connection keeps breaking, the last time after 90007 bytes of 200000 bytes ("),
        "{reason}"
    );
    assert!(reason.ends_with("run the same command again to go on from there"), "{reason}");
    assert!(place.part().unwrap() == c[..90_007]);

    let server = Server::new(vec![range(&c, ALL)]);
    place.pull(&server).unwrap();
    assert_eq!(server.ranges(), [from(90_007)]);
    assert_eq!((place.heard[0].done, place.heard[0].resumed_from), (90_007, 90_007));
}

#[test]
fn a_server_that_knows_no_ranges_is_read_from_the_start() {
    let mut place = Place::new();
    let c = &place.content;
    place.leave(&c[..1000]);
    // No range, a wrong one, none that it can serve.
    let elsewhere = || {
        Box::new(|_: &_, stream: &mut _| {
            head(stream, "206 Partial Content", &[("Content-Range", "bytes 5-199999/200000".into())]);
        })
    };
    let server = Server::new(vec![whole(c, 2000), elsewhere(), whole(c, ALL)]);
    place.pull(&server).unwrap();
    assert_eq!(server.ranges(), [from(1000), from(2000), None]);
    assert_eq!(place.heard.last().unwrap().resumed_from, 0);

    let mut place = Place::new();
    place.leave(&place.content[..1000]);
    let server = Server::new(vec![status("416 Range Not Satisfiable", &[]), whole(&place.content, ALL)]);
    place.pull(&server).unwrap();
    assert_eq!(server.ranges(), [from(1000), None]);
}

#[test]
fn a_server_that_always_begins_anew_does_not_keep_us_forever() {
    let mut place = Place::new();
    let steps = (0..20).map(|_| whole(&place.content, 100_000)).collect();
    let server = Server::new(steps);
    assert!(place.failure(&server).contains("keeps breaking"));
    // The first brought much, and counts no more.
    assert_eq!(server.asked().len(), 4 - 1);
}

#[test]
fn a_whole_part_is_not_asked_for() {
    let mut place = Place::new();
    place.leave(&place.content);
    let server = Server::new(vec![]);
    place.pull(&server).unwrap();
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn a_part_of_another_file_is_replaced() {
    for part in [content(1)[..60_000].to_vec(), content(1), [content(1), content(2)].concat()] {
        let mut place = Place::new();
        let c = &place.content;
        place.leave(&part);
        let resumed = part.len() < c.len();
        let steps = if resumed { vec![range(c, ALL), whole(c, ALL)] } else { vec![whole(c, ALL)] };
        let server = Server::new(steps);
        place.pull(&server).unwrap();
        assert_eq!(server.ranges(), if resumed { vec![from(60_000), None] } else { vec![None] });
    }
}

#[test]
fn a_file_that_changed_between_two_pieces_is_read_from_the_start() {
    let mut place = Place::new();
    let c = &place.content;
    // A server that heeds `If-Range`, and one that does not.
    let server = Server::new(vec![whole(&content(1), 60_000), whole(c, ALL)]);
    place.pull(&server).unwrap();
    assert_eq!(server.ranges(), [None, from(60_000)]);

    let mut place = Place::new();
    let c = &place.content;
    let server = Server::new(vec![whole(&content(1), 60_000), range(c, ALL), whole(c, ALL)]);
    place.pull(&server).unwrap();
    assert_eq!(server.ranges(), [None, from(60_000), None]);
}

#[test]
fn wrong_bytes_are_deleted() {
    let mut place = Place::new();
    let other = content(1);
    let reason = place.failure_of(whole(&other, ALL));
    assert!(reason.contains(&sha256_of(&other)) && reason.contains(place.p.check.digits()), "{reason}");
    assert!(reason.contains("run the command again"), "{reason}");
    assert_eq!(place.part(), None);
    // From the start as well, and then it is enough.
    place.leave(&other[..1000]);
    let server = Server::new(vec![range(&other, ALL), whole(&other, 5000), range(&other, ALL), whole(&other, ALL)]);
    assert!(place.failure(&server).contains("SHA-256"));
    assert_eq!(server.ranges(), [from(1000), None, from(5000)]);
    assert_eq!(place.part(), None);
}

#[test]
fn wrong_lengths_are_refused() {
    let mut place = Place::new();
    let c = place.content.clone();
    place.leave(&c[..9]);
    let page = "<html><body>Please log in</body></html>";
    let reason = place.failure_of(Box::new(move |_, stream| {
        let length = page.len().to_string();
        head(stream, "200 OK", &[("Content-Type", "text/html; charset=utf-8".into()), ("Content-Length", length)]);
        send(stream, page.as_bytes());
    }));
    assert!(reason.contains("sends a web page of 39 bytes, and the file has 200000"), "{reason}");
    let longer = [&c[..], b"!"].concat();
    for (step, length) in [(whole(&longer, 0), 200_001), (range(&longer, 0), 200_001), (range(&c[..100], 0), 100)] {
        let reason = place.failure_of(step);
        assert!(reason.contains(&format!("sends something of {length} bytes")), "{reason}");
    }
    // Such a server proves nothing about the part.
    assert!(place.part().unwrap() == c[..9]);

    // Without a length, the bytes are counted.
    let endless = place.failure_of(Box::new(move |_, stream| {
        head(stream, "200 OK", &[]);
        while send(stream, &longer) {}
    }));
    assert!(endless.contains("sends more than the file's 200000 bytes"), "{endless}");
    assert_eq!(place.part(), None);
    let open = |most: usize| -> Step {
        let c = c.clone();
        Box::new(move |_, stream| {
            head(stream, "200 OK", &[]);
            send(stream, &c[..most]);
        })
    };
    let server = Server::new(vec![open(5), open(200_000)]);
    place.pull(&server).unwrap();
    assert_eq!(server.ranges(), [None, from(5)]);
}

#[test]
fn statuses_have_one_message_each() {
    let mut place = Place::new();
    place.leave(b"kept");
    for (line, words) in [
        ("404 Not Found", "HTTP 404: 127.0.0.1:PORT has no such file"),
        ("403 Forbidden", "HTTP 403: 127.0.0.1:PORT does not hand the file out"),
        ("429 Too Many Requests", "HTTP 429: 127.0.0.1:PORT cannot serve it now: try again later"),
        ("500 Internal Server Error", "HTTP 500: 127.0.0.1:PORT cannot serve it now"),
        ("503 Service Unavailable", "HTTP 503: 127.0.0.1:PORT cannot serve it now"),
        ("204 No Content", "HTTP 204: 127.0.0.1:PORT does not answer with the file"),
    ] {
        let server = Server::new(vec![status(line, &[("Content-Length", "0")])]);
        let port = server.origin.rsplit(':').next().unwrap().to_owned();
        let reason = place.failure(&server);
        assert!(reason.starts_with(&words.replace("PORT", &port)), "{reason}");
        assert!(reason.ends_with("or download the file elsewhere and give it with --weights FILE"), "{reason}");
        assert_eq!((server.asked().len(), place.part()), (1, Some(b"kept".to_vec())));
    }
}

#[test]
fn redirects_are_followed_with_the_range_but_not_without_end() {
    let mut place = Place::new();
    place.leave(&place.content[..10]);
    let last = Server::new(vec![range(&place.content, ALL)]);
    let to = format!("{}/else.pth", last.origin);
    let first = Server::new(vec![status("302 Found", &[("Location", &to), ("Content-Length", "0")])]);
    place.pull(&first).unwrap();
    assert_eq!((last.asked()[0].path.as_str(), last.ranges()), ("/else.pth", vec![from(10)]));

    let circle = || status("302 Found", &[("Location", "/round"), ("Content-Length", "0")]);
    let server = Server::new((0..20).map(|_| circle()).collect());
    let reason = Place::new().failure(&server);
    assert!(reason.contains("redirects without end"), "{reason}");
    assert_eq!(server.asked().len(), 6);
}

#[test]
fn a_stalled_server_is_a_cut_connection() {
    let mut place = Place::new();
    let c = place.content.clone();
    let stalls = {
        let c = c.clone();
        Box::new(move |_: &_, stream: &mut std::net::TcpStream| {
            head(stream, "200 OK", &[("Content-Length", c.len().to_string())]);
            send(stream, &c[..100]);
            // Until the client hangs up.
            let _ = stream.read(&mut [0]);
        })
    };
    let server = Server::new(vec![stalls, range(&c, ALL)]);
    place.pull_with(&server.origin, Patience { stall: Duration::from_millis(300), ..HASTY }).unwrap();
    assert_eq!(server.ranges(), [None, from(100)]);
}

#[test]
fn a_slow_server_is_waited_for() {
    let mut place = Place::new();
    let c = place.content.clone();
    let slow = Box::new(move |_: &_, stream: &mut _| {
        head(stream, "200 OK", &[("Content-Length", c.len().to_string())]);
        for piece in c.chunks(20_000) {
            thread::sleep(Duration::from_millis(90));
            send(stream, piece);
        }
    });
    // Ten pieces take longer than one may.
    let server = Server::new(vec![slow]);
    place.pull_with(&server.origin, Patience { stall: Duration::from_millis(600), ..HASTY }).unwrap();
    assert_eq!(place.heard.last().unwrap().cuts, 0);
}

#[test]
fn a_server_that_is_not_there_is_named_with_the_cure() {
    let mut place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let e = place.pull_with(&format!("http://ada:secret@{address}/models/"), HASTY).unwrap_err().to_string();
    let start = format!("download http://{address}/models/{}: cannot reach {address} (", place.p.file());
    assert!(e.starts_with(&start) && e.contains("refused") && e.contains("--weights FILE"), "{e}");
    // Nor does one that hangs up count as reached.
    let server = Server::new(vec![Box::new(|_, _| {})]);
    assert!(place.failure(&server).starts_with("cannot reach 127.0.0.1:"));
    assert_eq!(place.part(), None);
}

#[test]
fn a_mirror_is_an_address() {
    let mut place = Place::new();
    for origin in ["", "weights", "ftp://example.org", "https://", "http:///models", "https://a b"] {
        let e = place.pull_with(origin, HASTY).unwrap_err();
        assert!(matches!(e, Error::Config { .. }), "{e}");
        assert!(e.to_string().starts_with(&format!("configuration: `mirror`: `{origin}` is no address")), "{e}");
    }
    assert_eq!(fs::read_dir(place.dir()).unwrap().count(), 0);
}

#[test]
fn a_length_that_the_project_does_not_tell_is_the_server_s() {
    let mut place = Place::new();
    place.p = entry_of_digits(&place.content);
    let c = place.content.clone();
    let server = Server::new(vec![whole(&c, 70_000), range(&c, ALL)]);
    place.pull(&server).unwrap();
    assert_eq!(server.asked()[0].path, format!("/{}", place.p.path));
    assert_eq!((server.ranges(), place.heard[0].total), (vec![None, from(70_000)], None));
    assert_eq!(place.heard.last().unwrap().total, Some(c.len() as u64));
    // It is there now, and known by its hash.
    place.pull(&server).unwrap();
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn what_cannot_be_the_file_is_refused_without_a_known_length() {
    let of_digits = || {
        let mut place = Place::new();
        place.p = entry_of_digits(&place.content);
        place
    };
    let other = content(1);
    let reason = of_digits().failure_of(whole(&other, ALL));
    assert!(reason.contains("their MD5 is ") && reason.contains("and the file's begins with "), "{reason}");
    let reason = of_digits().failure_of(whole(b"<html>Please log in</html>", ALL));
    assert!(reason.contains("something of 26 bytes, and no weights file of this network has so many"), "{reason}");
    let content = of_digits().content;
    let reason = of_digits().failure_of(Box::new(move |_, stream| {
        head(stream, "200 OK", &[]);
        send(stream, &content);
    }));
    assert!(reason.contains("does not tell how long the file is"), "{reason}");
    // Of a server that says more than the disk has room for, nothing is kept.
    let mut place = of_digits();
    let server = Server::new(vec![Box::new(|_, stream| {
        head(stream, "200 OK", &[("Content-Length", (1u64 << 60).to_string())]);
    })]);
    assert!(place.failure(&server).contains("no weights file of this network has so many"));
    assert_eq!(place.part(), None);
}

/// MMDetection's files carry digits of their SHA-256.
#[test]
fn digits_of_the_sha256_judge_what_came() {
    let mut place = Place::new();
    place.p = entry_of(&place.content, "v2.0/a/a_2020-{}.pth", Check::Sha256Digits);
    let c = place.content.clone();
    place.pull(&Server::new(vec![whole(&c, ALL)])).unwrap();
    let mut place = Place { dir: tempfile::tempdir().unwrap(), ..place };
    let reason = place.failure_of(whole(&content(1), ALL));
    assert!(reason.contains("their SHA-256 is ") && reason.contains("and the file's begins with "), "{reason}");
}

/// Where no hash is told, as of matterport's, pieces of one call are put together, and of two are not.
#[test]
fn without_a_hash_nothing_is_gone_on_with_that_an_earlier_call_left() {
    let mut place = Place::new();
    place.p = entry_of(&place.content, "v2.0/a.h5", |_| Check::Untold);
    let c = place.content.clone();
    place.leave(&content(1)[..1000]);
    let server = Server::new(vec![whole(&c, 70_000), range(&c, ALL)]);
    place.pull(&server).unwrap();
    assert_eq!(server.ranges(), [None, from(70_000)]);
    // It is here now, and nobody is asked.
    place.pull(&server).unwrap();
    assert_eq!(server.asked().len(), 2);
}
