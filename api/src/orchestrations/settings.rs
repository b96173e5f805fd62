//! What orchestrations need of the process.

use super::Planner;
use crate::{config, outbound::Rules};

#[derive(Debug, Default)]
pub struct Orchestrations {
    /// Proposes steps; none unless an operator sets one up.
    pub planner: Option<Planner>,
    /// Where agents of organizations may be.
    pub agent_rules: Rules,
}

impl Orchestrations {
    pub fn from_config(config: &config::Orchestrations) -> anyhow::Result<Self> {
        Ok(Self {
            planner: Planner::from_config(config)?,
            agent_rules: Rules::within(&config.agent_allowed_networks),
        })
    }
}
