//! What this sidecar can be told beside what all can.

use clap::Args;
use event_planner_google::GoogleSettings;

/// Google Drive, and how far callers may go in it.
#[derive(Debug, Clone, Args)]
#[group(id = "gdrive")]
pub struct Settings {
    #[command(flatten)]
    pub google: GoogleSettings,
    /// Folders and shared drives, by id, that callers stay within, separated by commas; new things go into the first.
    /// Without it, all that the account sees.
    #[arg(long, env, value_delimiter = ',')]
    pub allowed_folders: Vec<String>,
    /// Domains of mail addresses with which may be shared, separated by commas; without it, any.
    #[arg(long, env, value_delimiter = ',')]
    pub share_domains: Vec<String>,
    /// Let callers share with everybody who has the link.
    #[arg(long, env)]
    pub allow_link_sharing: bool,
    /// Largest file that is uploaded or downloaded, in bytes.
    #[arg(long, env, default_value_t = 2 * 1024 * 1024 * 1024)]
    pub max_file_bytes: u64,
    /// Offer only the tools that change nothing.
    #[arg(long, env)]
    pub read_only: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use mcp_kit::Cli;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::<Settings>::command().debug_assert();
    }
}
