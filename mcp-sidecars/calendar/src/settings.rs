//! Every setting of this sidecar beside the kit's.

use clap::Args;
use event_planner_google::GoogleSettings;

/// What this sidecar can be told.
#[derive(Debug, Clone, Args)]
pub struct CalendarSettings {
    #[command(flatten)]
    pub google: GoogleSettings,
    /// Calendars that may be read and written, by id, separated by commas; `primary` is the account's own, `*@firm.example`
    /// all of a domain, `*` all.
    #[arg(long, env, value_delimiter = ',', default_value = "primary")]
    pub allowed_calendars: Vec<String>,
    /// Most guests of one event; Google itself takes 200.
    #[arg(long, env, default_value_t = 200)]
    pub max_attendees: usize,
    /// Offer only the tools that change nothing, and ask Google for no more than reading.
    #[arg(long, env)]
    pub read_only: bool,
}

impl CalendarSettings {
    /// Whether that calendar is among the allowed ones.
    pub(crate) fn allows(&self, calendar: &str) -> bool {
        self.allowed_calendars
            .iter()
            .any(|allowed| match allowed.trim().strip_prefix('*') {
                Some(end) => calendar.ends_with(end),
                None => allowed.trim() == calendar,
            })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use mcp_kit::Cli;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::<CalendarSettings>::command().debug_assert();
    }
}
