//! A client that logs in when it is told to (OAuth 2.1 as MCP profiles it), and again for more rights.

use anyhow::{Context as _, anyhow, bail};
use reqwest::header::LOCATION;
use rmcp::{
    model::{
        CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation, ProtocolVersion,
    },
    service::{
        ClientInitializeError, ClientLifecycleMode, ServiceError, serve_client_with_lifecycle,
    },
    transport::{
        AuthClient, StreamableHttpClientTransport,
        auth::{AuthorizationRequest, OAuthState, WWWAuthenticateParams},
        streamable_http_client::{
            StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError,
        },
    },
};

use crate::{Context, sample};

const REDIRECT: &str = "http://localhost:3000/callback";
/// The address that the suite knows as this client's metadata document.
const CLIENT_METADATA: &str = "https://conformance-test.local/client-metadata.json";
/// Logins before a server is believed to ask for more each time.
const MOST_LOGINS: usize = 3;

/// Why the tools could not be used.
enum Refused {
    /// Log in by this `WWW-Authenticate`.
    Challenge(String),
    Other(anyhow::Error),
}

pub(crate) async fn use_tools(url: &str, context: &Context, is_modern: bool) -> anyhow::Result<()> {
    let plain = http()?;
    let mut ended = try_tools(url, plain, is_modern).await;
    let mut granted = Vec::new();
    for _ in 0..MOST_LOGINS {
        let challenge = match ended {
            Ok(()) => return Ok(()),
            Err(Refused::Other(error)) => return Err(error),
            Err(Refused::Challenge(challenge)) => challenge,
        };
        let client = log_in(url, context, &challenge, &granted).await?;
        granted = client.auth_manager.lock().await.get_current_scopes().await;
        ended = try_tools(url, client, is_modern).await;
    }
    match ended {
        Ok(()) => Ok(()),
        Err(Refused::Other(error)) => Err(error),
        Err(Refused::Challenge(_)) => bail!("still refused after {MOST_LOGINS} logins"),
    }
}

/// The authorization code flow, with a person who always agrees; for what is `granted` and what the challenge asks.
async fn log_in(
    url: &str,
    context: &Context,
    challenge: &str,
    granted: &[String],
) -> anyhow::Result<AuthClient<reqwest::Client>> {
    let mut state = OAuthState::new(url, None).await?;
    let mut request = AuthorizationRequest::new(REDIRECT)
        .with_client_name("conformance client")
        .with_client_metadata_url(CLIENT_METADATA)
        .with_challenge(challenge);
    if !granted.is_empty() {
        // What is granted already must not be lost when more is asked for.
        let asked = WWWAuthenticateParams::parse(challenge, &url.parse()?).scope;
        let asked = asked.unwrap_or_default();
        let granted = granted.iter().map(String::as_str);
        request = request.with_scopes(granted.chain(asked.split_whitespace()));
    }
    if let Some(id) = &context.client_id {
        request = request.with_preregistered_client(id);
    }
    if let Some(secret) = &context.client_secret {
        request = request.with_client_secret(secret);
    }
    state.start_authorization(request).await?;
    let page = state.get_authorization_url().await?;
    let answer = http()?.get(&page).send().await?;
    let location = answer.headers().get(LOCATION).context("no redirect")?;
    state.handle_callback_url(location.to_str()?).await?;
    let manager = state.into_authorization_manager();
    Ok(AuthClient::new(http()?, manager.context("not logged in")?))
}

/// Lists the tools and calls each.
async fn try_tools<C: StreamableHttpClient<Error = reqwest::Error> + Sync>(
    url: &str,
    client: C,
    is_modern: bool,
) -> Result<(), Refused> {
    let config = StreamableHttpClientTransportConfig::with_uri(url);
    let transport = StreamableHttpClientTransport::with_client(client, config);
    let us = us(ClientCapabilities::default());
    let running = serve_client_with_lifecycle(us, transport, lifecycle(is_modern)).await;
    let running = running.map_err(|error| at_start(&error))?;
    let tools = running.list_all_tools().await;
    for tool in tools.map_err(|error| later(&error))? {
        let mut params = CallToolRequestParams::new(tool.name.clone());
        params.arguments = sample(&tool).as_object().cloned();
        running
            .call_tool(params)
            .await
            .map_err(|error| later(&error))?;
    }
    let _ = running.cancel().await;
    Ok(())
}

fn at_start(error: &ClientInitializeError) -> Refused {
    error.auth_challenge().map_or_else(
        || Refused::Other(anyhow!("{error}")),
        |challenge| Refused::Challenge(challenge.to_owned()),
    )
}

fn later(error: &ServiceError) -> Refused {
    let challenge = match error {
        ServiceError::TransportSend(error) => error
            .error
            .downcast_ref::<StreamableHttpError<reqwest::Error>>()
            .and_then(StreamableHttpError::auth_challenge),
        _ => None,
    };
    challenge.map_or_else(
        || Refused::Other(anyhow!("{error}")),
        |challenge| Refused::Challenge(challenge.to_owned()),
    )
}

/// One of the two eras: a client that must log in cannot probe for both.
pub(crate) fn lifecycle(is_modern: bool) -> ClientLifecycleMode {
    if !is_modern {
        return ClientLifecycleMode::Initialize;
    }
    ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    }
}

pub(crate) fn us(capabilities: ClientCapabilities) -> ClientConfig {
    let name = Implementation::new("conformance-client", env!("CARGO_PKG_VERSION"));
    ClientConfig::new(capabilities, name)
        .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
}

pub(crate) fn http() -> anyhow::Result<reqwest::Client> {
    // An error means that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    Ok(builder.no_proxy().build()?)
}
