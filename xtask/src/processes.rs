//! The table of everything that `cargo xtask up` runs: another process is another entry.

use std::collections::BTreeMap;

use crate::dev::Servers;
use crate::providers::{self, Given};

/// A binary of this workspace that runs until it is stopped.
pub(crate) struct Process {
    /// In front of its log lines.
    pub(crate) name: &'static str,
    /// The package, and the binary in it.
    pub(crate) package: &'static str,
    pub(crate) args: &'static [&'static str],
    /// Where it listens unless that is taken.
    pub(crate) port: u16,
    /// The path that answers 200 when it is ready.
    pub(crate) ready: &'static str,
    pub(crate) environment: fn(&Settings) -> Environment,
}

pub(crate) type Environment = Vec<(String, String)>;

/// What a process can be told.
pub(crate) struct Settings<'a> {
    pub(crate) servers: &'a Servers,
    /// The state of the development stack.
    pub(crate) folder: &'a str,
    /// Its own port, and a private one for metrics.
    pub(crate) port: u16,
    pub(crate) metrics_port: u16,
    pub(crate) service_auth_token: &'a str,
    /// The token that every sidecar takes.
    pub(crate) sidecar_token: &'a str,
    /// Where each process is, by its name.
    pub(crate) urls: &'a BTreeMap<&'static str, String>,
    /// What the person who starts us has set.
    pub(crate) given: &'a Given,
}

pub(crate) const SANDBOX: &str = "sandbox";
/// What the sandbox signs Stripe's events with, unless somebody has Stripe's own in `.env`.
const STRIPE_WEBHOOK_SECRET: &str = "whsec_sandbox-signs-with-this-no-real-secret";
const POSTGRES_SIDECAR: &str = "mcp-postgres";

/// Those that the API calls: `mcp-<name>` here, `<NAME>_SIDECAR_URL` there.
const SIDECARS: [&str; 7] = [
    "postgres", "gdrive", "slack", "calendar", "stripe", "twilio", "linear",
];

/// Started in this order, each after the one before is ready.
pub(crate) const PROCESSES: &[Process] = &[
    Process {
        name: SANDBOX,
        package: "event-planner-sandbox",
        args: &[],
        port: 3020,
        ready: "/health",
        environment: sandbox,
    },
    Process {
        name: POSTGRES_SIDECAR,
        package: "event-planner-mcp-postgres",
        args: &[],
        port: 3001,
        ready: "/ready",
        environment: postgres_sidecar,
    },
    sidecar("mcp-gdrive", "event-planner-mcp-gdrive", 3002, |settings| {
        provider(settings, &providers::GOOGLE)
    }),
    sidecar("mcp-slack", "event-planner-mcp-slack", 3003, |settings| {
        provider(settings, &providers::SLACK)
    }),
    sidecar(
        "mcp-calendar",
        "event-planner-mcp-calendar",
        3004,
        |settings| provider(settings, &providers::GOOGLE),
    ),
    sidecar("mcp-stripe", "event-planner-mcp-stripe", 3005, |settings| {
        provider(settings, &providers::STRIPE)
    }),
    sidecar("mcp-twilio", "event-planner-mcp-twilio", 3006, twilio),
    sidecar("mcp-linear", "event-planner-mcp-linear", 3007, |settings| {
        provider(settings, &providers::LINEAR)
    }),
    Process {
        name: "api",
        package: "event-planner-api",
        args: &["serve"],
        port: 8000,
        ready: "/ready",
        environment: api,
    },
    Process {
        name: "worker",
        package: "event-planner-api",
        args: &["worker"],
        port: 8001,
        ready: "/ready",
        environment: api,
    },
];

/// A provider's sidecar. It is alive with credentials that do not work, too: `/ready` then says no, and it is not ours to
/// keep everything else from starting.
const fn sidecar(
    name: &'static str,
    package: &'static str,
    port: u16,
    environment: fn(&Settings) -> Environment,
) -> Process {
    Process {
        name,
        package,
        args: &[],
        port,
        ready: "/health",
        environment,
    }
}

fn api(settings: &Settings) -> Environment {
    let url = &settings.urls["api"];
    let mut environment = settings.given.file.clone();
    for client in providers::OAUTH_CLIENTS {
        environment.extend(client.environment(settings.given, &settings.urls[SANDBOX]));
    }
    environment.extend(listening(settings));
    environment.extend(owned(&[
        ("APP_ENV", "development"),
        ("INTEGRATIONS_KEYS", providers::INTEGRATIONS_KEY),
        ("DATABASE_URL", &settings.servers.database),
        ("REDIS_URL", &settings.servers.redis),
        ("PUBLIC_BASE_URL", url),
        ("SERVICE_AUTH_TOKEN", settings.service_auth_token),
    ]));
    let own = settings.given.get("STRIPE_WEBHOOK_SECRET");
    let secret = own.unwrap_or(STRIPE_WEBHOOK_SECRET).to_owned();
    environment.push(("STRIPE_WEBHOOK_SECRET".to_owned(), secret));
    let signed_with = providers::TWILIO.environment(settings.given, &settings.urls[SANDBOX]);
    let signed_with = signed_with
        .into_iter()
        .find(|(name, _)| name == "TWILIO_AUTH_TOKEN");
    environment.extend(signed_with.map(|(_, token)| ("TWILIO_CALLBACK_TOKEN".to_owned(), token)));
    for sidecar in SIDECARS {
        let setting = |what| format!("{}_SIDECAR_{what}", sidecar.to_uppercase());
        let url = settings.urls[format!("mcp-{sidecar}").as_str()].clone();
        environment.push((setting("URL"), url));
        environment.push((setting("TOKEN"), settings.sidecar_token.to_owned()));
    }
    environment
}

fn postgres_sidecar(settings: &Settings) -> Environment {
    let mut environment = listening(settings);
    environment.extend(owned(&[
        ("DATABASE_URL", &settings.servers.reporting),
        ("MCP_TOKENS", settings.sidecar_token),
    ]));
    environment
}

fn provider(settings: &Settings, provider: &providers::Provider) -> Environment {
    let mut environment = settings.given.file.clone();
    environment.extend(provider.environment(settings.given, &settings.urls[SANDBOX]));
    environment.extend(listening(settings));
    environment.extend(owned(&[("MCP_TOKENS", settings.sidecar_token)]));
    environment
}

/// The sandbox tells the API how messages fare. The real Twilio cannot reach this machine.
fn twilio(settings: &Settings) -> Environment {
    let mut environment = provider(settings, &providers::TWILIO);
    if !providers::TWILIO.is_real(settings.given) {
        // Again and again, if the API does not know the message yet.
        let url = format!(
            "{}/webhooks/twilio/status#rc=5&rp=all",
            settings.urls["api"]
        );
        environment.extend(owned(&[("TWILIO_STATUS_CALLBACK_URL", &url)]));
    }
    environment
}

fn sandbox(settings: &Settings) -> Environment {
    let state = format!("{}/sandbox.json", settings.folder);
    let address = format!("127.0.0.1:{}", settings.port);
    let events = format!("{}/webhooks/stripe", settings.urls["api"]);
    owned(&[
        ("LISTEN_ADDR", &address),
        ("STATE_FILE", &state),
        ("STRIPE_WEBHOOK_URL", &events),
        ("STRIPE_WEBHOOK_SECRET", STRIPE_WEBHOOK_SECRET),
    ])
}

fn listening(settings: &Settings) -> Environment {
    let address = |port| format!("127.0.0.1:{port}");
    owned(&[
        ("LOG_FORMAT", "text"),
        ("LISTEN_ADDR", &address(settings.port)),
        ("METRICS_ADDR", &address(settings.metrics_port)),
    ])
}

fn owned(pairs: &[(&str, &str)]) -> Environment {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}
