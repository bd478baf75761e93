use clap::CommandFactory as _;

use super::Cli;

#[test]
fn the_help_of_each_command_has_an_example() {
    let mut cli = Cli::command();
    cli.build();
    for command in cli.get_subcommands_mut().filter(|command| !command.is_hide_set()) {
        let name = command.get_name().to_owned();
        let help = command.render_long_help().to_string();
        assert!(name == "help" || help.contains(&format!("dropbed {name}")), "{name}: {help}");
        assert!(name == "help" || help.contains("Example"), "{name}: {help}");
    }
}
