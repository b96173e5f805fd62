//! One question to a process of ours over plain HTTP: are you ready?

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

/// Whether `GET path` on this port of the loopback address answers 200.
pub(crate) fn answers_ok(port: u16, path: &str) -> bool {
    ask(port, path).is_ok_and(|answer| status(&answer) == Some(200))
}

fn ask(port: u16, path: &str) -> std::io::Result<Vec<u8>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(64).read_to_end(&mut answer)?;
    Ok(answer)
}

fn status(answer: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer);
    let mut words = text.lines().next()?.split(' ');
    words
        .next()
        .filter(|version| version.starts_with("HTTP/1"))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::status;

    #[test]
    fn the_status_is_the_second_word_of_an_http_answer() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\nserver: x\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.1 503 Service Unavailable\r\n"), Some(503));
        assert_eq!(status(b"+PONG 200\r\n"), None);
        assert_eq!(status(b""), None);
    }
}
