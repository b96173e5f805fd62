//! The little of Postgres's wire protocol that running a script takes: a fetched Postgres brings
//! no `psql`, and a driver would triple the build time of this crate.
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::fmt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use anyhow::{Context, bail};

const PROTOCOL_3_0: i32 = 196_608;

/// A session of the superuser with one of our own servers, which trust the loopback address.
pub(crate) struct Session {
    stream: TcpStream,
}

/// What the server said about a script that failed; everything before it is rolled back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SqlError {
    /// Five characters, see Postgres's appendix A.
    pub(crate) code: String,
    message: String,
    detail: Option<String>,
    /// Counted in characters from 1.
    position: Option<usize>,
}

impl Session {
    /// Logs in as `postgres`.
    pub(crate) fn open(port: u16, database: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("connecting to Postgres on port {port}"))?;
        let mut session = Self { stream };
        let mut body = PROTOCOL_3_0.to_be_bytes().to_vec();
        for word in ["user", "postgres", "database", database, ""] {
            body.extend_from_slice(word.as_bytes());
            body.push(0);
        }
        session.send(&body)?;
        session
            .until_ready()?
            .map_err(|error| anyhow::anyhow!("logging in: {error}"))?;
        Ok(session)
    }

    /// Runs a script of any number of statements, all or nothing, as the migrations are run.
    /// Answers the number of rows.
    pub(crate) fn run(&mut self, script: &str) -> anyhow::Result<Result<usize, SqlError>> {
        let mut body = script.as_bytes().to_vec();
        body.push(0);
        self.stream.write_all(b"Q")?;
        self.send(&body)?;
        self.until_ready()
    }

    fn send(&mut self, body: &[u8]) -> anyhow::Result<()> {
        let length = i32::try_from(body.len() + 4).context("the script is too long")?;
        self.stream.write_all(&length.to_be_bytes())?;
        Ok(self.stream.write_all(body)?)
    }

    fn until_ready(&mut self) -> anyhow::Result<Result<usize, SqlError>> {
        let mut outcome = Ok(0);
        loop {
            let (kind, body) = self.receive()?;
            match kind {
                b'Z' => return Ok(outcome),
                b'D' => outcome = outcome.map(|rows| rows + 1),
                b'R' if body != 0_i32.to_be_bytes() => bail!("Postgres asks for a password"),
                b'E' => {
                    let error = SqlError::parse(&body);
                    // The server hangs up after these and never becomes ready.
                    if body.starts_with(b"SFATAL") {
                        return Ok(Err(error));
                    }
                    outcome = Err(error);
                }
                _ => {}
            }
        }
    }

    fn receive(&mut self) -> anyhow::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.stream
            .read_exact(&mut head)
            .context("Postgres hung up")?;
        let [kind, length @ ..] = head;
        let length = usize::try_from(i32::from_be_bytes(length))
            .ok()
            .and_then(|n| n.checked_sub(4));
        let mut body = vec![0; length.context("not a Postgres server")?];
        self.stream
            .read_exact(&mut body)
            .context("Postgres hung up")?;
        Ok((kind, body))
    }
}

impl SqlError {
    /// The body is a list of fields: a letter, a text, a zero byte.
    fn parse(body: &[u8]) -> Self {
        let field = |letter: u8| {
            let fields = body.split(|byte| *byte == 0);
            let mut found = fields.filter_map(|field| field.strip_prefix(&[letter]));
            found
                .next()
                .map(|text| String::from_utf8_lossy(text).into_owned())
        };
        Self {
            code: field(b'C').unwrap_or_default(),
            message: field(b'M').unwrap_or_default(),
            detail: field(b'D'),
            position: field(b'P').and_then(|text| text.parse().ok()),
        }
    }

    /// The error with the line of the script that it speaks of.
    pub(crate) fn in_script(&self, script: &str) -> String {
        let Some(position) = self.position else {
            return self.to_string();
        };
        let before = script.chars().take(position.saturating_sub(1));
        let line = before.filter(|character| *character == '\n').count();
        let text = script.lines().nth(line).unwrap_or_default().trim();
        format!("line {}: {self}\n    {text}", line + 1)
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.message, self.code)?;
        match &self.detail {
            Some(detail) => write!(formatter, "; {detail}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_line() {
        let body = b"SERROR\0VERROR\0C42601\0Msyntax error at or near \"FORM\"\0P20\0\0";
        let error = SqlError::parse(body);
        assert_eq!(error.code, "42601");
        let script = "SELECT 1;\nSELECT 2 FORM x;\n";
        let told = error.in_script(script);
        assert_eq!(
            told,
            "line 2: syntax error at or near \"FORM\" (42601)\n    SELECT 2 FORM x;"
        );
    }

    #[test]
    fn an_error_without_a_place_is_told_as_it_is() {
        let error = SqlError::parse(b"C42P04\0Mdatabase exists\0Dtwice\0\0");
        assert_eq!(error.in_script("x"), "database exists (42P04); twice");
    }
}
