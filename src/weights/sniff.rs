//! What a file that is neither safetensors nor a checkpoint is, by its first bytes, so that the message can say what to do.

/// Names the format of `bytes`, or `None` if they are nothing that people mistake for weights.
pub(super) fn format_of(bytes: &[u8]) -> Option<&'static str> {
    /// Formats with a constant at offset 0.
    const MAGIC: [(&[u8], &str); 14] = [
        (b"PK\x05\x06", "an empty zip archive"),
        (b"GGUF", "a GGUF file"),
        (b"\x93NUMPY", "a NumPy array"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"\x89PNG", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"GIF8", "a GIF image"),
        (b"BM", "a BMP image"),
        (b"RIFF", "a RIFF file (WebP image, sound or video)"),
        (b"%PDF", "a PDF document"),
        (b"version https://git-lfs", "a Git LFS pointer (fetch the file itself with `git lfs pull`)"),
        (b"<!DOCTYPE", "an HTML page (a download that failed?)"),
        (b"<html", "an HTML page (a download that failed?)"),
        (b"{", "a JSON text"),
    ];
    if let Some((_, name)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(name);
    }
    if bytes.get(4..8) == Some(b"TFL3") {
        return Some("a TensorFlow Lite model");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::format_of;

    #[test]
    fn knows_what_people_mistake_for_weights() {
        let cases: [(&[u8], &str); 8] = [
            (b"PK\x05\x06\x00\x00", "empty zip"),
            (b"\x89PNG\r\n\x1a\n", "PNG"),
            (b"\xff\xd8\xff\xe0", "JPEG"),
            (b"GGUF\x03\x00\x00\x00", "GGUF"),
            (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
            (b"<!DOCTYPE html>", "HTML"),
            (b"\x1c\x00\x00\x00TFL3", "TensorFlow"),
            (b"{\"a\": 1}", "JSON"),
        ];
        for (bytes, name) in cases {
            assert!(format_of(bytes).is_some_and(|found| found.contains(name)), "{name}: {:?}", format_of(bytes));
        }
        assert_eq!(format_of(b""), None);
        assert_eq!(format_of(b"\x00\x01\x02\x03"), None);
    }
}
