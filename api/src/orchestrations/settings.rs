//! What orchestrations need of the process.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::Planner;
use crate::{config, outbound::Rules};

/// Clients that watch runs at once.
const STREAMS: usize = 512;

#[derive(Debug)]
pub struct Orchestrations {
    /// Proposes steps; none unless an operator sets one up.
    pub planner: Option<Planner>,
    /// Where agents of organizations may be.
    pub agent_rules: Rules,
    pub streams: Arc<Semaphore>,
}

impl Orchestrations {
    pub fn from_config(config: &config::Orchestrations) -> anyhow::Result<Self> {
        Ok(Self {
            planner: Planner::from_config(config)?,
            agent_rules: Rules::within(&config.agent_allowed_networks),
            ..Self::default()
        })
    }
}

impl Default for Orchestrations {
    fn default() -> Self {
        Self {
            planner: None,
            agent_rules: Rules::default(),
            streams: Arc::new(Semaphore::new(STREAMS)),
        }
    }
}
