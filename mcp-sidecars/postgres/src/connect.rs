//! One session with the database: TCP, TLS, log-in, settings.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, anyhow, bail, ensure};
use rustls::{ClientConfig, pki_types::ServerName};
use rustls_platform_verifier::ConfigVerifierExt;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tokio_postgres::{
    Client, Config, NoTls,
    config::{Host, SslMode},
};
use tokio_rustls::TlsConnector;
use tokio_util::{either::Either, task::AbortOnDropHandle};

use crate::{capped::Capped, settings::PostgresSettings};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Sessions are renewed, so that what the server caches for them does not grow for ever.
const LONGEST_SESSION: Duration = Duration::from_mins(10);
/// How soon the server sees that nobody waits for a statement any more.
const CLIENT_CHECK: &str = "250ms";
/// `SSLRequest` (PostgreSQL: "Message Formats").
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Where the database is and how a session begins.
pub(crate) struct Target {
    config: Config,
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
}

/// A logged-in session. When it is dropped the socket is closed, and the server cancels what still runs.
pub(crate) struct Session {
    pub(crate) client: Client,
    driver: AbortOnDropHandle<()>,
    is_too_large: Arc<AtomicBool>,
    ends: Instant,
}

impl Target {
    /// Reads `postgres://…`; the timeouts become settings of each session.
    pub(crate) fn new(url: &SecretString, settings: &PostgresSettings) -> anyhow::Result<Self> {
        // The cause could repeat the address with its password.
        let parsed: Result<Config, _> = url.expose_secret().parse();
        let mut config = parsed.map_err(|_| {
            anyhow!("DATABASE_URL: must be postgres://user:password@host:port/name")
        })?;
        let [Host::Tcp(host)] = config.get_hosts() else {
            bail!("DATABASE_URL: must name one host");
        };
        let host = host.clone();
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let tls = match config.get_ssl_mode() {
            SslMode::Require => {
                Some(Arc::new(ClientConfig::with_platform_verifier().context("TLS")?).into())
            }
            _ => None,
        };
        // TLS is made here, under the cap.
        config.ssl_mode(SslMode::Disable);
        config
            .application_name("event-planner-mcp-postgres")
            .options(options(settings));
        Ok(Self {
            config,
            host,
            port,
            tls,
        })
    }

    /// A new session.
    pub(crate) async fn connect(&self) -> anyhow::Result<Session> {
        tokio::time::timeout(CONNECT_TIMEOUT, self.log_in())
            .await
            .context("no connection in time")?
    }

    async fn log_in(&self) -> anyhow::Result<Session> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .context("connect")?;
        stream.set_nodelay(true)?;
        let stream = match &self.tls {
            Some(tls) => Either::Right(secure(tls, &self.host, stream).await?),
            None => Either::Left(stream),
        };
        let is_too_large = Arc::new(AtomicBool::new(false));
        let stream = Capped::new(stream, Arc::clone(&is_too_large));
        let (client, connection) = self
            .config
            .connect_raw(stream, NoTls)
            .await
            .context("log in")?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a session ended");
            }
        });
        Ok(Session {
            client,
            driver: AbortOnDropHandle::new(driver),
            is_too_large,
            ends: Instant::now() + LONGEST_SESSION,
        })
    }
}

impl Session {
    /// Whether the next call can have it.
    pub(crate) fn is_usable(&self) -> bool {
        !self.client.is_closed() && Instant::now() < self.ends
    }

    /// Whether it broke because a message was larger than the cap.
    pub(crate) fn is_too_large(&self) -> bool {
        self.is_too_large.load(Ordering::Relaxed)
    }

    /// Closes the socket at once; what waits for an answer gets an error.
    pub(crate) fn close(&self) {
        self.driver.abort();
    }
}

async fn secure(
    tls: &TlsConnector,
    host: &str,
    mut stream: TcpStream,
) -> anyhow::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    stream.write_all(&SSL_REQUEST).await?;
    ensure!(
        stream.read_u8().await? == b'S',
        "sslmode=require, but the server has no TLS"
    );
    let name = ServerName::try_from(host.to_owned())?;
    tls.connect(name, stream).await.context("TLS")
}

/// What holds for a session from its start and after `DISCARD ALL`, whatever the role's own settings are.
fn options(settings: &PostgresSettings) -> String {
    let timeout = settings.statement_timeout.as_millis().to_string();
    let fixed = [
        ("default_transaction_read_only", "on"),
        ("statement_timeout", timeout.as_str()),
        ("lock_timeout", "500ms"),
        ("idle_in_transaction_session_timeout", "5s"),
        ("client_connection_check_interval", CLIENT_CHECK),
        ("search_path", "reporting,pg_catalog"),
        ("max_parallel_workers_per_gather", "0"),
        ("work_mem", "8MB"),
        ("jit", "off"),
        ("client_min_messages", "error"),
        // How values are written; `values.rs` reads them.
        ("TimeZone", "UTC"),
        ("DateStyle", "ISO"),
        ("IntervalStyle", "iso_8601"),
        ("bytea_output", "hex"),
        ("extra_float_digits", "1"),
    ];
    let mut options = String::new();
    for (name, value) in fixed {
        // Writing to a String cannot fail.
        let _ = write!(options, "-c {name}={value} ");
    }
    options
}
