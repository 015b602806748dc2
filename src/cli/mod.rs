//! The command line: arguments in, the stages called in order, values to reports. The only module that reads the environment,
//! constructs clients and chooses exit codes.

mod args;
mod asking;
mod build_folder;
mod cloud;
mod commands;
mod contexts;
mod dates;
mod exit;
mod init;
mod load;
mod pins;
mod prepare;
mod promotion;
mod registries;
mod repositories;
mod settings;
mod uncommitted;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use args::{Arguments, Command};
use exit::{Exit, Failure};
use settings::Settings;

use crate::problem::{Problems, render, to_json};

/// The whole program.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        eprint(&format!(
            "this is a bug in orchestrate {}: {panic}\nplease report it with the command that you ran and this text\n",
            env!("CARGO_PKG_VERSION")
        ));
    }));
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Wrong } else { Exit::Done });
        }
    };
    let json = arguments.common.json;
    let result = std::panic::catch_unwind(|| {
        let settings = Settings::new(&arguments.common)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::surroundings(format!("cannot start: {error}"), None))?;
        let result = runtime.block_on(run(&arguments.command, &settings));
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(failure)) => {
            report(&failure, json);
            failure.exit().into()
        }
        Err(_) => ExitCode::from(70),
    }
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
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes text for people to stderr.
fn eprint(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
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
