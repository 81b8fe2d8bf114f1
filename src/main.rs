//! The program: arguments, then the server or a command. No logic.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use mangahub::{
    cli::{
        self, Arguments, Command, Exit, Failure, Global,
        admin::{self, AdminCommand},
        reload::Reload,
    },
    logs,
};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => Exit::Success.into(),
        Err(failure) => failure.report(&mut io::stderr()).into(),
    }
}

fn run(Arguments { global, command }: Arguments) -> Result<(), Failure> {
    match command.unwrap_or(Command::Serve) {
        Command::Serve => serve(&global),
        Command::Config(command) => cli::config::run(command, &global, cli::environment(), &mut io::stdout()),
        Command::Admin(AdminCommand::CreateUser(arguments)) => {
            let config = global.load(cli::environment())?;
            admin::create_user(&config, arguments.complete(&mut io::stdin().lock())?, &mut io::stdout())
        }
        Command::Admin(AdminCommand::DeleteUser(arguments)) => {
            admin::delete_user(&global.load(cli::environment())?, &arguments.login, &mut io::stdout())
        }
    }
}

fn serve(global: &Global) -> Result<(), Failure> {
    let config = global.load(cli::environment())?;
    let logs = logs::init(&config.log).map_err(|error| Failure::new(Exit::Failure, error))?;
    let mut reload = Reload::new(global.clone(), config.clone(), logs.level());
    let running = mangahub::serve(config)?;
    cli::serve::on_signals(running.handle().remote(), move || reload.run())?;
    let services = cli::serve::describe(running.addresses());
    if let Some(file) = &global.ports_file {
        cli::ports_file::write(file, &services)
            .map_err(|error| Failure::new(Exit::Failure, format!("--ports-file {}: {error}", file.display())))?;
    }
    // Nobody may be reading: the server runs all the same.
    let _ = cli::serve::welcome(&services, &mut io::stdout()).and_then(|()| io::stdout().flush());
    running.wait()?;
    Ok(())
}
