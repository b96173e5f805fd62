//! `multipart/related` (RFC 2387) as upload clients send it: metadata, then content.

/// The two parts of a body: the metadata's bytes, the content's media type and bytes.
pub(super) fn split<'a>(
    content_type: &str,
    body: &'a [u8],
) -> Option<(&'a [u8], String, &'a [u8])> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/related") {
        return None;
    }
    let boundary = rest
        .split(';')
        .find_map(|part| part.trim().strip_prefix("boundary="))?;
    let boundary = format!("--{}", boundary.trim_matches('"'));
    let first = find(body, boundary.as_bytes())? + boundary.len();
    let (metadata, rest) = part(&body[first..], &boundary)?;
    let (content, _) = part(rest, &boundary)?;
    let (_, metadata) = head(metadata)?;
    let (media_type, content) = head(content)?;
    Some((metadata, media_type, content))
}

/// Up to the line end before the next boundary, and what follows the boundary.
fn part<'a>(body: &'a [u8], boundary: &str) -> Option<(&'a [u8], &'a [u8])> {
    let end = find(body, format!("\n{boundary}").as_bytes())?;
    let rest = &body[end + 1 + boundary.len()..];
    let part = body[..end].strip_suffix(b"\r").unwrap_or(&body[..end]);
    Some((part, rest))
}

/// The part's media type and its body, after an empty line; some clients end lines with LF alone.
fn head(part: &[u8]) -> Option<(String, &[u8])> {
    let (end, gap) = match (find(part, b"\r\n\r\n"), find(part, b"\n\n")) {
        (Some(crlf), Some(lf)) if lf < crlf => (lf, 2),
        (Some(crlf), _) => (crlf, 4),
        (None, Some(lf)) => (lf, 2),
        (None, None) => return None,
    };
    let lines = std::str::from_utf8(&part[..end]).ok()?;
    let media_type = lines.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-type")
            .then(|| value.trim().to_owned())
    });
    let media_type = media_type.unwrap_or_else(|| "application/octet-stream".to_owned());
    Some((media_type, &part[end + gap..]))
}

fn find(text: &[u8], sought: &[u8]) -> Option<usize> {
    text.windows(sought.len())
        .position(|window| window == sought)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_with_either_line_end() {
        let text = "--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\nContent-Type: text/plain\r\n\r\nhi\n\nthere\r\n--b--";
        let kind = "multipart/related; boundary=\"b\"";
        let unix = text.replace("\r\n", "\n");
        for body in [text, &unix] {
            let (metadata, media_type, content) = split(kind, body.as_bytes()).unwrap();
            assert_eq!(
                (metadata, media_type.as_str(), content),
                (&b"{}"[..], "text/plain", &b"hi\n\nthere"[..])
            );
        }
        assert!(split("multipart/form-data; boundary=b", text.as_bytes()).is_none());
        assert!(split(kind, b"--b\n\n{}").is_none());
    }
}
