//! The command line: arguments in, the stages called in order, values to reports. The only module that reads the environment,
//! constructs clients and chooses exit codes.

mod args;
mod asking;
mod build_folder;
mod cloud;
mod commands;
mod contexts;
mod dates;
mod event_log;
mod exit;
mod init;
mod load;
mod pins;
mod prepare;
mod promotion;
mod registries;
mod repositories;
mod set;
mod settings;
mod uncommitted;
mod unseen;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use args::{Arguments, Command};
use exit::{Exit, Failure};
use settings::Settings;

use crate::problem::{Problems, printable, render, to_json};

/// The whole program.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| eprint(&bug_text(panic))));
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Wrong } else { Exit::Done });
        }
    };
    let ended = guarded(arguments.common.json, || {
        let settings = Settings::new(&arguments.common)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::surroundings(format!("cannot start: {error}"), None))?;
        let result = runtime.block_on(run(&arguments.command, &settings));
        runtime.shutdown_background();
        result
    });
    ended.into()
}

/// How a run ends: as it says, with a failure that is reported, or with a panic, which is a bug.
fn guarded(json: bool, run: impl FnOnce() -> Result<Exit, Failure> + std::panic::UnwindSafe) -> Exit {
    match std::panic::catch_unwind(run) {
        Ok(Ok(exit)) => exit,
        Ok(Err(failure)) => {
            report(&failure, json);
            failure.exit()
        }
        Err(_) => Exit::Bug,
    }
}

/// What is said of a bug.
fn bug_text(panic: &dyn std::fmt::Display) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "this is a bug in orchestrate {version}: {panic}\nplease report it with the command that you ran and this text\n"
    )
}

async fn run(command: &Command, settings: &Settings) -> Result<Exit, Failure> {
    let settings = &cloud::identified(settings, command).await?;
    match command {
        Command::Init => commands::init(settings).await,
        Command::Check(arguments) => commands::check(settings, arguments).await,
        Command::Show => commands::show(settings).await,
        Command::Plan(arguments) => commands::plan(settings, arguments).await,
        Command::Apply(arguments) => commands::apply(settings, arguments).await,
        Command::Why(arguments) => commands::why(settings, arguments).await,
        Command::Inputs(arguments) => commands::inputs(settings, arguments).await,
        Command::Graph => commands::graph(settings).await,
        Command::Update(arguments) => commands::update(settings, arguments).await,
        Command::Prune(arguments) => commands::prune(settings, arguments).await,
        Command::Sizes => commands::sizes(settings).await,
        Command::Load(arguments) => commands::load_image(settings, arguments).await,
        Command::Run(arguments) => commands::run_image(settings, arguments).await,
        Command::Tag(arguments) => commands::tag(settings, arguments).await,
        Command::Doctor(arguments) => commands::doctor(settings, arguments).await,
        Command::Schema(arguments) => commands::schema(arguments),
        Command::Completions(arguments) => commands::completions(arguments),
    }
}

/// Writes data to stdout. A reader that went away is nobody's failure.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(printable(text).as_bytes()).and_then(|()| out.flush());
}

/// Writes text for people to stderr.
fn eprint(text: &str) {
    let _ = std::io::stderr().lock().write_all(printable(text).as_bytes());
}

fn report(failure: &Failure, json: bool) {
    match failure {
        Failure::Problems(problems) => show_problems(problems, json),
        Failure::Message { message, help, .. } => {
            if json {
                let value = serde_json::json!({ "error": message, "help": help });
                print(&format!("{value}\n"));
            }
            eprint(&format!("error: {message}\n"));
            if let Some(help) = help {
                eprint(&format!("help: {help}\n"));
            }
        }
    }
}

/// Problems as text on stderr; with `--json` as data on stdout.
fn show_problems(problems: &Problems, json: bool) {
    if json {
        print(&format!("{:#}\n", serde_json::json!({ "problems": to_json(problems) })));
        return;
    }
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let color = !no_color && std::io::IsTerminal::is_terminal(&std::io::stderr());
    let width = terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0)).clamp(40, 160);
    eprint(&render(problems, color, width));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_bug_and_ends_with_70() {
        assert_eq!(guarded(false, || panic!("the tests know of this one")), Exit::Bug);
        assert_eq!(Exit::Bug as u8, 70);
        assert_eq!(guarded(false, || Ok(Exit::Changes)), Exit::Changes);
        assert_eq!(guarded(false, || Err(Failure::surroundings("of a test", None))), Exit::Surroundings);
    }

    #[test]
    fn a_bug_says_how_to_report_it() {
        let said = bug_text(&"panicked at src/x.rs:1:2");
        assert!(said.starts_with(concat!("this is a bug in orchestrate ", env!("CARGO_PKG_VERSION"))), "{said}");
        assert!(said.contains("panicked at src/x.rs:1:2\nplease report it"), "{said}");
    }
}
