use super::*;
use crate::secure::{Provider, Suite};

fn defaults() -> Defaults {
    Defaults { host_name: Some("host".to_owned()), state: Some("/state".into()) }
}

fn settings(text: &str) -> Settings {
    Settings::parse(text).unwrap()
}

#[test]
fn earlier_source_wins_and_empty_says_nothing() {
    let flags = Settings { listen: Some(String::new()), ..settings("name: flag\n") };
    let file = settings("name: file\nlisten: 1.2.3.4:5\nshare: /srv\nrekey_bytes: 1048576\n");
    let config = flags.or(file).resolve(&defaults()).unwrap();
    assert_eq!((config.name.as_str(), config.listen.as_str()), ("flag", "1.2.3.4:5"));
    assert_eq!(config.rekey.bytes, 1 << 20);
    assert_eq!(config.control, ControlListen::Unix("/state/control.sock".into()));
    assert_eq!(config.suites, SuiteChoice::Auto);
    let chosen = settings("share: /srv\nsuite: aes-256-gcm\n").resolve(&defaults()).unwrap();
    assert_eq!(chosen.suites, SuiteChoice::Only(Suite::Aes256Gcm));
    assert_eq!(chosen.provider, Provider::AwsLc);
    let chosen = settings("share: /srv\nprovider: rustcrypto\n").resolve(&defaults()).unwrap();
    assert_eq!(chosen.provider, Provider::RustCrypto);
    let plain = settings("share: /srv\n").resolve(&defaults()).unwrap();
    assert_eq!((plain.name.as_str(), plain.listen.as_str()), ("host", LISTEN_DEFAULT));
}

#[test]
fn unknown_key_is_an_error_with_its_place() {
    let error = Settings::parse("name: a\nshrae: /srv\n").unwrap_err();
    assert!(error.contains("shrae") && error.contains("line 2"), "{error}");
}

#[test]
fn what_cannot_work_is_refused() {
    for (text, words) in [
        ("name: a\n", "--share"),
        ("share: /s\nname: Upper\n", "Upper"),
        ("share: /s\ncontrol: 127.0.0.1:1\n", "DROPD_CONTROL_TOKEN_FILE"),
        ("share: /s\nrekey_bytes: 1\n", "rekey_bytes"),
        ("share: /s\nrekey_records: 0\n", "rekey_records"),
        ("share: /s\nrekey_interval_ms: 0\n", "rekey_interval_ms"),
        ("share: /s\nfold_interval_ms: 49\n", "the least is 50"),
        ("share: /s\nsuite: rot13\n", "chacha20-poly1305"),
        ("share: /s\nprovider: rot13\n", "rustcrypto"),
        ("share: /s\npeers: [{name: p, id: nonsense}]\n", "nonsense"),
    ] {
        let error = settings(text).resolve(&defaults()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn control_address_is_told_by_its_slash() {
    let tcp = settings("share: /s\ncontrol: 127.0.0.1:1\ncontrol_token_file: /t\n");
    let want = ControlListen::Tcp { address: "127.0.0.1:1".to_owned(), token_file: "/t".into() };
    assert_eq!(tcp.resolve(&defaults()).unwrap().control, want);
    let unix = settings("share: /s\ncontrol: ./c.sock\n");
    assert_eq!(unix.resolve(&defaults()).unwrap().control, ControlListen::Unix("./c.sock".into()));
}

#[test]
fn the_help_names_the_limits_of_keys_that_are_in_force() {
    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        _settings: Settings,
    }
    let command = <Command as clap::CommandFactory>::command();
    let help = |setting: &str| {
        let argument = command.get_arguments().find(|one| one.get_long() == Some(setting));
        argument.unwrap().get_help().unwrap().to_string()
    };
    let usual = RekeyLimits::default();
    for (setting, limit) in [
        ("rekey-bytes", usual.bytes),
        ("rekey-records", usual.records),
        ("rekey-interval-ms", usual.interval_ms),
        ("fold-interval-ms", usual.fold_interval_ms),
    ] {
        assert!(help(setting).contains(&limit.to_string()), "{setting}: {}", help(setting));
    }
    for (setting, least) in [
        ("rekey-bytes", crate::secure::rekey::REKEY_BYTES_MIN),
        ("fold-interval-ms", crate::secure::rekey::FOLD_INTERVAL_MS_MIN),
    ] {
        let help = help(setting).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(&format!("at least {least}")), "{setting}: {help}");
    }
}
