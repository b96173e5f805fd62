//! Replicas count together in a Redis that speaks TLS, as managed ones do.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use event_planner_api::tls;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{StatusCode, Url};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use sqlx::PgPool;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    durability::{Server, application_url},
    support::{TestApp, redis_url},
};

/// One request a minute, so that a second one shows who counted the first.
const QUOTA: &str = "1";

#[sqlx::test]
async fn replicas_count_together_in_a_redis_behind_tls(pool: PgPool) {
    tls::install_provider();
    let app = TestApp::new(pool.clone()).await;
    let key = app.planner.key.as_deref().unwrap();
    let (address, authority) = redis_behind_tls().await;
    let database = application_url(&pool);
    let start = |authority: &str| {
        let settings = [
            ("REDIS_URL", address.as_str()),
            ("SSL_CERT_FILE", authority),
            ("RATE_LIMIT", QUOTA),
        ];
        Server::start(&database, &settings)
    };
    let authority = authority.to_str().unwrap();
    let (one, other) = (start(authority), start(authority));
    assert_eq!(counted(&one, key).await, StatusCode::OK);
    assert_eq!(counted(&other, key).await, StatusCode::TOO_MANY_REQUESTS);
    // Whose authorities do not vouch for this Redis does not tell it anything, and counts alone.
    let stranger = start("/dev/null");
    let client = reqwest::Client::new();
    stranger.wait_until_ready(&client).await;
    assert_eq!(ask(&client, &stranger, key).await, StatusCode::OK);
    assert_eq!(fallbacks(&client, &stranger).await, 1);
    std::fs::remove_file(authority).unwrap();
}

/// The answer to a request that Redis has counted: the first ones may have been quicker than the connection to it.
async fn counted(server: &Server, key: &str) -> StatusCode {
    let client = reqwest::Client::new();
    server.wait_until_ready(&client).await;
    for _ in 0..20 {
        let before = fallbacks(&client, server).await;
        let status = ask(&client, server, key).await;
        if fallbacks(&client, server).await == before {
            return status;
        }
        // It is left alone for a second.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
    panic!("Redis never counted");
}

async fn ask(client: &reqwest::Client, server: &Server, key: &str) -> StatusCode {
    let request = client.get(format!("http://{}/v1/me", server.address));
    request.bearer_auth(key).send().await.unwrap().status()
}

/// Requests that the process counted itself.
async fn fallbacks(client: &reqwest::Client, server: &Server) -> u64 {
    let metrics = client.get(format!("http://{}/metrics", server.metrics));
    let text = metrics.send().await.unwrap().text().await.unwrap();
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix("rate_limit_fallbacks_total "));
    line.unwrap().parse().unwrap()
}

/// The tests' Redis behind TLS: its URL, and the file of the authority that vouches for it.
async fn redis_behind_tls() -> (String, PathBuf) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let authority = std::env::temp_dir().join(format!("redis-{}.pem", std::process::id()));
    std::fs::write(&authority, cert.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut url = Url::parse(&redis_url()).unwrap();
    let redis = (url.host_str().unwrap().to_owned(), url.port().unwrap());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(forward(acceptor.clone(), stream, redis.clone()));
        }
    });
    let front = SocketAddr::from(([127, 0, 0, 1], port));
    url.set_scheme("rediss").unwrap();
    url.set_ip_host(front.ip()).unwrap();
    url.set_port(Some(port)).unwrap();
    (url.to_string(), authority)
}

async fn forward(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    redis: (String, u16),
) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut redis = TcpStream::connect(redis).await?;
    copy_bidirectional(&mut stream, &mut redis).await?;
    Ok(())
}
