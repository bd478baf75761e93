use clap::CommandFactory as _;

use super::*;

#[test]
fn command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn tcp_control_without_token_is_refused() {
    let control = Some("127.0.0.1:1".to_owned());
    let global = Global { control, control_token_file: None, json: false };
    assert_eq!(global.address().unwrap_err().exit_code, WRONG_INPUT);
    let unix = Global { control: Some("./s".to_owned()), ..global };
    assert_eq!(unix.address().unwrap(), ControlAddress::Unix("./s".into()));
}
