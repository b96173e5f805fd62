//! What people really ask must work, and be right.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::world::World;

#[sqlx::test(migrations = "../../database/migrations")]
async fn honest_questions_are_answered(pool: PgPool) {
    let world = World::new(pool).await;
    let blocks: Vec<_> = include_str!("honest.txt").split("\n\n").skip(1).collect();
    assert!(blocks.len() >= 50, "{}", blocks.len());
    let mut wrong = Vec::new();
    for block in blocks {
        let marked = |mark: &str| -> Option<Value> {
            let line = block.lines().find_map(|line| line.strip_prefix(mark))?;
            Some(serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        };
        let sql: Vec<_> = block
            .lines()
            .filter(|line| !line.starts_with("-- params:") && !line.starts_with("-- =>"))
            .collect();
        let (sql, expected) = (
            sql.join("\n"),
            marked("-- =>").unwrap_or_else(|| panic!("no rows: {block}")),
        );
        match world
            .ask_with(&sql, marked("-- params:").unwrap_or_else(|| json!([])))
            .await
        {
            Ok(answer) if answer["rows"] == expected => {}
            Ok(answer) => wrong.push(format!("{sql}\n    {}", answer["rows"])),
            Err(error) => wrong.push(format!("{sql}\n    {error:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
