//! Without ffmpeg: what goes between it and us.

use std::path::Path;

use super::frames::frame;
use super::{Probe, is_video};

#[test]
fn videos_are_told_by_their_names() {
    for (name, video) in
        [("a.mp4", true), ("b/C.MOV", true), ("x.webm", true), ("x.png", false), ("mp4", false), ("a.gif", false)]
    {
        assert_eq!(is_video(Path::new(name)), video, "{name}");
    }
}

#[test]
fn what_ffprobe_says_is_read() {
    let of = |text: &str| Probe::read(text.as_bytes());
    let said = r#"{"programs": [], "streams": [{"r_frame_rate": "30/1", "avg_frame_rate": "30000/1001", "nb_read_packets": "77"}]}"#;
    assert_eq!(of(said), Ok(Probe { frames: 77, rate: "30000/1001".into() }));
    let unknown = r#"{"streams": [{"r_frame_rate": "12/1", "avg_frame_rate": "0/0", "nb_read_packets": "1"}]}"#;
    assert_eq!(of(unknown).unwrap().rate, "12/1");
    for none in [r#"{"streams": []}"#, r#"{"streams": [{"nb_read_packets": "0"}]}"#, "{}"] {
        assert!(of(none).unwrap_err().contains("no video"), "{none}");
    }
    assert!(of("ffprobe: what?").unwrap_err().contains("no JSON"));
}

/// A BMP file as far as it is looked at here.
fn bmp(body: &[u8]) -> Vec<u8> {
    [b"BM", &(6 + body.len() as u32).to_le_bytes()[..], body].concat()
}

#[test]
fn frames_are_told_apart_by_their_lengths() {
    let all = [bmp(b"first"), bmp(b""), bmp(b"third BM")].concat();
    let mut stream = &all[..];
    for body in [&b"first"[..], b"", b"third BM"] {
        assert_eq!(frame(&mut stream).unwrap().unwrap(), bmp(body));
    }
    assert!(frame(&mut stream).unwrap().is_none());
    for broken in [&all[..3], &all[..9], b"PK\x03\x04\x00\x00", b"BM\xff\xff\xff\xff", b"BM\x01\x00\x00\x00"] {
        assert!(frame(&mut &broken[..]).is_err(), "{broken:?}");
    }
}
