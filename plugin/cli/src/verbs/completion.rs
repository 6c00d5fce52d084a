//! `writ completion`: a script that completes the command line in a shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::Cli;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Print the completion script for a shell: `writ completion bash > ~/.local/share/bash-completion/completions/writ`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which shell
    shell: Shell,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    context.print(&script(args.shell))?;
    Ok(Exit::Done)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "writ", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_verbs() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for verb in ["request", "approve", "exec", "credentials", "journal"] {
                assert!(script.contains(verb), "{shell} lacks {verb}");
            }
        }
    }
}
