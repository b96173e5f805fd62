//! Agents of organizations, and the language model that may propose steps.

use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;
use secrecy::SecretString;

use crate::orchestrations::PlannerKind;

#[derive(Debug, Clone, Default, Args)]
pub struct Orchestrations {
    /// Networks where organizations' agents may be although they are not public, e.g. `10.1.0.0/16`; comma between.
    #[arg(long, env, value_delimiter = ',')]
    pub agent_allowed_networks: Vec<IpNet>,
    /// Address of a language model that proposes steps, up to what its kind adds: `/chat/completions` or `/v1/messages`.
    /// Without it playbooks alone decide.
    #[arg(long, env)]
    pub planner_url: Option<String>,
    /// Its key.
    #[arg(long, env, hide_env_values = true)]
    pub planner_key: Option<SecretString>,
    /// File that holds it instead.
    #[arg(long, env)]
    pub planner_key_file: Option<PathBuf>,
    /// The model's name there.
    #[arg(long, env)]
    pub planner_model: Option<String>,
    /// Whose protocol it speaks.
    #[arg(long, env, value_enum, default_value_t = PlannerKind::Openai)]
    pub planner_kind: PlannerKind,
}

impl Orchestrations {
    pub fn key(&self) -> anyhow::Result<Option<SecretString>> {
        super::secret(self.planner_key.as_ref(), self.planner_key_file.as_ref())
    }
}
