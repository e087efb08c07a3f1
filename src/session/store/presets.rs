//! The person's own presets.

use rusqlite::params;

use super::{Durability, Result, Store};
use crate::platform::Problem;
use crate::session::presets::{self, Preset};

impl Store {
    /// The built-in presets, then the person's own by name.
    pub fn presets(&self) -> Result<Vec<Preset>> {
        let mut all = presets::built_in();
        let mut statement = self
            .connection
            .prepare_cached("SELECT name, plan FROM preset ORDER BY name COLLATE NOCASE, name")?;
        let rows = statement.query_map([], |row| {
            Ok(Preset { name: row.get(0)?, plan: row.get(1)?, built_in: false })
        })?;
        for row in rows {
            all.push(row?);
        }
        Ok(all)
    }

    /// Keeps a preset, in place of the person's own of that name.
    pub fn save_preset(&mut self, name: &str, plan: &str) -> Result<()> {
        let name = free_name(name)?;
        check_plan(plan)?;
        self.change(Durability::Synced, |transaction| {
            transaction.execute(
                "INSERT INTO preset (name, plan) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET plan = excluded.plan",
                params![name, plan],
            )?;
            Ok(())
        })
    }

    /// Gives one of the person's own presets another name that is still free.
    pub fn rename_preset(&mut self, from: &str, to: &str) -> Result<()> {
        let to = free_name(to)?;
        if from == to {
            return Ok(());
        }
        self.change(Durability::Synced, |transaction| {
            let taken: bool = transaction.query_row(
                "SELECT EXISTS (SELECT 1 FROM preset WHERE name = ?1)",
                [to],
                |row| row.get(0),
            )?;
            if taken {
                let problem = Problem::new(format!("there is a preset called “{to}” already"));
                return Err(problem.hint("choose another name").into());
            }
            let renamed =
                transaction.execute("UPDATE preset SET name = ?2 WHERE name = ?1", [from, to])?;
            found(renamed, from)
        })
    }

    /// Deletes one of the person's own presets.
    pub fn delete_preset(&mut self, name: &str) -> Result<()> {
        self.change(Durability::Synced, |transaction| {
            let deleted = transaction.execute("DELETE FROM preset WHERE name = ?1", [name])?;
            found(deleted, name)
        })
    }
}

fn found(count: usize, name: &str) -> Result<()> {
    if count == 0 {
        return Err(Problem::new(format!("there is no preset of yours called “{name}”")).into());
    }
    Ok(())
}

fn free_name(name: &str) -> Result<&str> {
    let name = name.trim();
    if name.is_empty() {
        return Err(Problem::new("a preset needs a name").into());
    }
    if presets::is_built_in(name) {
        let problem = Problem::new(format!("“{name}” comes with the program"));
        return Err(problem.hint("choose another name").into());
    }
    Ok(name)
}

fn check_plan(plan: &str) -> Result<()> {
    match plan.parse::<toml::Table>() {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(Problem::new(format!("the plan is not TOML: {}", error.message())).into())
        }
    }
}
