//! Calls to addresses that users choose: webhooks, agents. An address is judged as it was written, and again where its
//! name is looked up for the very connection, which goes to the address that was judged and nowhere else.

use std::{fmt, io, net::IpAddr, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use reqwest::{
    Client, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};

use crate::problem::Problem;

mod address;

pub use address::Refused;

/// Longest time for a connection; a whole call has the time-out that its caller sets.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_IDLE: Duration = Duration::from_secs(30);

/// How names become addresses; tests have a way of their own.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// What may be called.
#[derive(Clone)]
pub struct Rules {
    /// Networks that may be called though they are not public, also without TLS: development, tests, partners within.
    pub networks: Vec<IpNet>,
    /// Ports that may be called outside of those networks.
    pub ports: Vec<u16>,
    pub lookup: Lookup,
}

/// Without the lookup, which has nothing to show.
impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rules = f.debug_struct("Rules");
        rules.field("networks", &self.networks);
        rules.field("ports", &self.ports).finish_non_exhaustive()
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            networks: Vec::new(),
            ports: vec![443, 8443],
            lookup: Arc::new(|name| Box::pin(look_up(name))),
        }
    }
}

impl Rules {
    /// The usual rules, with these networks.
    pub fn within(networks: &[IpNet]) -> Self {
        Self {
            networks: networks.to_vec(),
            ..Self::default()
        }
    }
}

/// The clients for such calls: no redirects, no proxies, no address that the rules forbid.
#[derive(Clone)]
pub struct Outbound {
    rules: Rules,
    /// By TLS to public addresses and the networks of the rules.
    public: Client,
    /// Without TLS, to the networks of the rules only.
    inside: Client,
}

impl Outbound {
    /// # Errors
    /// The machine has no certificates to trust.
    pub fn new(rules: Rules) -> anyhow::Result<Self> {
        crate::tls::install_provider();
        let client = |is_inside| {
            let resolver = Resolver {
                rules: rules.clone(),
                is_inside,
            };
            Client::builder()
                .dns_resolver(resolver)
                .redirect(redirect::Policy::none())
                .no_proxy()
                .https_only(!is_inside)
                .referer(false)
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(KEEP_IDLE)
                .user_agent("event-planner")
                .build()
                .context("the client for calls to the outside")
        };
        Ok(Self {
            public: client(false)?,
            inside: client(true)?,
            rules,
        })
    }

    /// Whether this address may be stored, in a field `url`.
    ///
    /// # Errors
    /// 422 on `/url`.
    pub fn check(&self, address: &str) -> Result<(), Problem> {
        let refused = |refused: Refused| Problem::field("/url", "address", refused.0);
        self.to(address).map(drop).map_err(refused)
    }

    /// The client for this address, and the address parsed. Call it each time: rules may have changed since it was stored.
    ///
    /// # Errors
    /// The rules forbid the address as it is written; where its name leads is judged when the client connects.
    pub fn to(&self, address: &str) -> Result<(&Client, Url), Refused> {
        let url = address::check(address, &self.rules.networks, &self.rules.ports)?;
        let is_inside = url.scheme() == "http";
        Ok((
            if is_inside {
                &self.inside
            } else {
                &self.public
            },
            url,
        ))
    }
}

/// Looks names up and hands on what may be connected to.
struct Resolver {
    rules: Rules,
    is_inside: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let found = (self.rules.lookup)(name.as_str().to_owned());
        let (networks, is_inside) = (self.rules.networks.clone(), self.is_inside);
        Box::pin(async move {
            let found = found.await?;
            let is_allowed = |ip: &IpAddr| address::is_allowed(*ip, &networks, is_inside);
            // One bad address among good ones is no accident.
            if found.is_empty() || !found.iter().all(is_allowed) {
                return Err(Refused("leads to an address that may not be called").into());
            }
            let addresses = found.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

async fn look_up(name: String) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((name, 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}
