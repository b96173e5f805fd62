//! The list of hostile statements.

/// The organization that no statement may reach.
pub const ZEBRA: &str = "00000000-0000-7000-8000-00000000000b";

/// What is expected, and the statement.
pub fn statements() -> Vec<(Vec<&'static str>, String)> {
    let lines = include_str!("hostile.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs = lines.map(|line| line.split_once(" | ").unwrap_or_else(|| panic!("{line}")));
    let sql = |sql: &str| sql.replace("\\n", "\n").replace("{zebra}", ZEBRA);
    pairs
        .map(|(expected, text)| (expected.split('/').collect(), sql(text)))
        .collect()
}
