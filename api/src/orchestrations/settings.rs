//! What orchestrations need of the process.

use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::Semaphore;

use super::Planner;
use crate::config;

/// Clients that watch runs at once.
const STREAMS: usize = 512;

#[derive(Debug)]
pub struct Orchestrations {
    /// Proposes steps; none unless an operator sets one up.
    pub planner: Option<Planner>,
    /// Networks inside of ours where agents may be.
    pub agent_networks: Vec<IpNet>,
    pub streams: Arc<Semaphore>,
}

impl Orchestrations {
    pub fn from_config(config: &config::Orchestrations) -> anyhow::Result<Self> {
        Ok(Self {
            planner: Planner::from_config(config)?,
            agent_networks: config.agent_allowed_networks.clone(),
            ..Self::default()
        })
    }
}

impl Default for Orchestrations {
    fn default() -> Self {
        Self {
            planner: None,
            agent_networks: Vec::new(),
            streams: Arc::new(Semaphore::new(STREAMS)),
        }
    }
}
