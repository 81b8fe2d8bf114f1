//! `mangahub config`: check the configuration, show it, print the default file.
//!
//! It judges exactly what the server would start with, environment, flags and files included.

use std::io::Write;

use clap::Subcommand;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;

use super::{Failure, Global, Output};
use crate::config::{Config, Shown, default_file};

/// The commands about the configuration.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration as a start would; exit code 2 and one line when it is wrong
    Check,
    /// Show every key with its value and where it came from
    Show,
    /// Print the default configuration file
    #[command(hide = true)]
    Default,
}

/// Runs one command with the environment it is handed, and prints its result to `out`.
pub fn run(
    command: ConfigCommand,
    global: &Global,
    env: impl Iterator<Item = (String, String)>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check => {
            let config = global.load(env)?;
            config.check_files()?;
            check(global, &config, out)
        }
        ConfigCommand::Show => show(&global.load(env)?, global.output, out),
        ConfigCommand::Default => Ok(out.write_all(default_file().as_bytes())?),
    }
}

fn check(global: &Global, config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    let file = global.config.as_ref().map(|file| file.display().to_string());
    let count = config.keys_in_file();
    match (global.output, file) {
        (Output::Json, file) => writeln!(out, "{}", json!({ "ok": true, "file": file, "keys": count }))?,
        (Output::Table, Some(file)) => {
            let keys = if count == 1 { "key" } else { "keys" };
            writeln!(out, "✓ {file}: {count} {keys}, all good")?;
        }
        (Output::Table, None) => writeln!(out, "✓ no file: defaults, environment and flags, all good")?,
    }
    Ok(())
}

fn show(config: &Config, output: Output, out: &mut dyn Write) -> Result<(), Failure> {
    match output {
        Output::Table => writeln!(out, "{}", table(&config.shown()))?,
        Output::Json => {
            let row = |row: Shown| json!({ "key": row.key, "value": row.value, "origin": row.origin.to_string() });
            let rows: Vec<_> = config.shown().into_iter().map(row).collect();
            writeln!(out, "{:#}", json!({ "settings": rows }))?;
        }
    }
    Ok(())
}

/// Columns without borders and never wrapped: a line per key, for eyes and for `grep`.
fn table(rows: &[Shown]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["KEY", "VALUE", "ORIGIN"]);
    for row in rows {
        table.add_row([row.key.clone(), row.literal.clone(), row.origin.to_string()]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::{super::Exit, *};

    fn output(command: ConfigCommand, global: &Global, env: &[(&str, &str)]) -> Result<String, Failure> {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut out = Vec::new();
        run(command, global, env, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    fn with_file(folder: &tempfile::TempDir, text: &str) -> (PathBuf, Global) {
        let file = folder.path().join("mangahub.toml");
        fs::write(&file, text).unwrap();
        (file.clone(), Global { config: Some(file), ..Global::default() })
    }

    /// A good file is praised with its number of keys; JSON says the same to programs.
    #[test]
    fn check_counts_the_keys() {
        let folder = tempfile::tempdir().unwrap();
        let (file, mut global) = with_file(&folder, "[tcp]\nv2_coalesce = true\n[limits]\nconnections = 5\n");
        let printed = output(ConfigCommand::Check, &global, &[]).unwrap();
        assert_eq!(printed, format!("✓ {}: 2 keys, all good\n", file.display()));
        global.output = Output::Json;
        let json: serde_json::Value =
            serde_json::from_str(&output(ConfigCommand::Check, &global, &[]).unwrap()).unwrap();
        assert_eq!(json, json!({ "ok": true, "file": file.display().to_string(), "keys": 2 }));
    }

    /// A bad file is one line that names line, key, value and what is expected, and code 2.
    #[test]
    fn check_names_the_mistake() {
        let folder = tempfile::tempdir().unwrap();
        let (file, global) = with_file(&folder, "[limits]\n\nconnections = \"many\"\n");
        let expected = "limits.connections = \"many\": expected a whole number from 0 to 1000000";
        let failure = output(ConfigCommand::Check, &global, &[]).unwrap_err();
        assert_eq!(failure, Failure::new(Exit::Usage, format!("{}:3: {expected}", file.display())));
    }

    /// The table is aligned, one line per key, and says where each value came from.
    #[test]
    fn show_tells_value_and_origin() {
        let folder = tempfile::tempdir().unwrap();
        let (file, mut global) = with_file(&folder, "[http]\nbody_bytes = 2097152\n");
        global.set.push(("limits.messages_per_second".to_owned(), "0".to_owned()));
        let secret = "0123456789abcdef0123456789abcdef";
        let printed = output(ConfigCommand::Show, &global, &[("MANGAHUB_AUTH_SECRET", secret)]).unwrap();
        let row = |key: &str| {
            let line = printed.lines().find(|line| line.starts_with(&format!("{key} "))).unwrap();
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>()
        };
        assert_eq!(row("http.body_bytes"), ["http.body_bytes", "\"2MiB\"", &format!("{}:2", file.display())]);
        assert_eq!(row("limits.messages_per_second"), ["limits.messages_per_second", "0", "--set"]);
        assert_eq!(row("auth.secret"), ["auth.secret", "(set)", "MANGAHUB_AUTH_SECRET"]);
        assert_eq!(row("internal.token"), ["internal.token", "\"\"", "default"]);
        assert_eq!(row("tcp.broadcasts_per_second")[2], "default (follows limits.messages_per_second)");
        let column = printed.lines().next().unwrap().find("ORIGIN").unwrap();
        assert!(printed.lines().all(|line| line.as_bytes()[column - 1] == b' ' && line.as_bytes()[column] != b' '));
        assert!(!printed.contains(secret));
    }

    /// For programs the values have their types, and a secret is hidden too.
    #[test]
    fn show_as_json_has_types() {
        let secret = "0123456789abcdef0123456789abcdef";
        let global = Global { output: Output::Json, ..Global::default() };
        let printed = output(ConfigCommand::Show, &global, &[("MANGAHUB_AUTH_SECRET", secret)]).unwrap();
        let json: serde_json::Value = serde_json::from_str(&printed).unwrap();
        let rows = json["settings"].as_array().unwrap();
        let value = |key: &str| rows.iter().find(|row| row["key"] == key).unwrap()["value"].clone();
        assert_eq!(value("http.body_bytes"), 1_048_576);
        assert_eq!(value("tcp.v1_listen"), json!(["127.0.0.1:9090"]));
        assert_eq!(value("tcp.v2_coalesce"), false);
        assert_eq!(value("auth.secret"), "(set)");
        assert_eq!(value("internal.token"), json!(null));
        assert!(!printed.contains(secret));
    }

    /// The default file is accepted as it is, and sets nothing.
    #[test]
    fn the_default_file_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let text = output(ConfigCommand::Default, &Global::default(), &[]).unwrap();
        let (_, global) = with_file(&folder, &text);
        assert!(output(ConfigCommand::Check, &global, &[]).unwrap().ends_with(": 0 keys, all good\n"));
    }
}
