use clap::Parser;

use super::*;
use crate::testbed::live::change::Change;
use crate::testbed::live::site::Action;
use crate::toxiproxy::api::{Effect, Millis, Toxic};

/// `LinkArgs` as a whole command line.
#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    link: LinkArgs,
}

fn parse(words: &[&str]) -> Result<LinkArgs, clap::Error> {
    let words = ["link", "set", "a:b"].iter().chain(words);
    Line::try_parse_from(words).map(|line| line.link)
}

fn action(words: &[&str]) -> Result<Action, LinkError> {
    match parse(words).unwrap().command {
        LinkCommand::Set(arguments) => ask::action(&arguments),
        other => panic!("{other:?}"),
    }
}

/// What a person reads when the words are wrong by themselves.
fn refused(words: &[&str]) -> String {
    match parse(words) {
        Err(error) => error.to_string(),
        Ok(_) => action(words).unwrap_err().to_string(),
    }
}

#[test]
fn a_shape_in_the_units_of_topologies() {
    let shape = |change| Action::Shape(change);
    let rtt = Change { latency_us: Some(25_000), ..Change::default() };
    assert_eq!(action(&["--rtt", "50ms"]).unwrap(), shape(rtt));
    let words = ["--latency", "1.5s", "--jitter", "200us", "--rate", "1MB/s", "--direction", "up"];
    let all = Change {
        latency_us: Some(1_500_000),
        jitter_us: Some(200),
        rate_bits_per_s: Some(Some(8_000_000)),
        towards: Towards::Up,
    };
    assert_eq!(action(&words).unwrap(), shape(all));
    let unlimited = Change { rate_bits_per_s: Some(None), ..Change::default() };
    assert_eq!(action(&["--rate", "unlimited"]).unwrap(), shape(unlimited));
}

#[test]
fn wrong_words_say_what_to_write() {
    for (words, hint) in [
        (&["--rtt", "50"][..], "write `50ms` or `50s`"),
        (&["--rtt", "3us"], "write `4us`"),
        (&["--rtt", "9s"], "at most 8s"),
        (&["--latency", "5s"], "at most 4s"),
        (&["--rate", "10M"], "10Mbit/s"),
        (&["--rate", "1kbit/s"], "from 8kbit/s to 100Gbit/s"),
        (&["--rate", "8001bit/s"], "write `8008bit/s`"),
        (&["--rtt", "5ms", "--latency", "5ms"], "cannot be used with"),
        (&["--rtt", "5ms", "--direction", "up"], "give --latency"),
        (&["--rtt", "5ms", "--add", "stall"], "cannot be used with"),
        (&["--enable", "--remove", "x"], "cannot be used with"),
        (&["--name", "x"], "--add"),
        (&[], "--rtt"),
        (&["--direction", "up"], "nothing to set"),
        (&["--add", "latncy"], "did you mean `latency`?"),
        (&["--add", "stall", "-a", "delay"], "write `key=value`"),
        (&["--add", "stall", "-a", "delay=1"], "no attribute \"delay\""),
        (&["--add", "corrupt", "-a", "bit=8"], "bit"),
        (&["--add", "slicer"], "average_size"),
        (&["--add", "stall", "--toxicity", "1.5"], "from 0 to 1"),
        (&["--add", "stall", "--stream", "sideways"], "`up` or `down`"),
    ] {
        let text = refused(words);
        assert!(text.contains(hint), "{words:?}: {text}");
    }
}

#[test]
fn a_toxic_as_toxiproxys_own_command_takes_it() {
    let words = ["--add", "slow_close", "-a", "delay=1.5", "--toxicity", "0.25", "--name", "n"];
    let delay = Millis::from_micros(1_500);
    let expected = Toxic {
        name: "n".into(),
        stream: Stream::Downstream,
        toxicity: 0.25,
        effect: Effect::SlowClose { delay },
    };
    assert_eq!(action(&words).unwrap(), Action::Add(expected));
    let stall = Toxic::new(Stream::Upstream, Effect::Stall);
    assert_eq!(action(&["--add", "stall", "--stream", "up"]).unwrap(), Action::Add(stall));
    let words = ["--add", "bandwidth", "-a", "rate=10", "-a", "bucket=a>b"];
    let Action::Add(toxic) = action(&words).unwrap() else { panic!("{words:?}") };
    assert_eq!(toxic.effect.attributes()["bucket"], "a>b");
}

#[test]
fn other_things_to_do() {
    assert_eq!(action(&["--remove", "x"]).unwrap(), Action::Remove("x".into()));
    assert_eq!(action(&["--enable"]).unwrap(), Action::Enable(true));
    assert_eq!(action(&["--disable"]).unwrap(), Action::Enable(false));
}

/// Every type that is suggested is one that the API knows.
#[test]
fn the_types_are_those_of_the_api() {
    for kind in ask::TYPES {
        let given = serde_json::json!({"average_size": 1});
        let effect = Effect::parse(kind, given.as_object().unwrap()).unwrap();
        assert!(!matches!(effect, Effect::Other { .. }), "{kind}");
    }
}

#[test]
fn where_to_look_may_stand_before_or_behind_the_command() {
    for words in [["link", "--run", "d", "ls"], ["link", "ls", "--run", "d"]] {
        let line = Line::try_parse_from(words).unwrap();
        let which: crate::testbed::live::find::Which = line.link.which.into();
        assert_eq!(which.run.as_deref(), Some("d"));
    }
    let both = Line::try_parse_from(["link", "ls", "--run", "d", "--proxy", "http://p"]);
    assert!(both.unwrap_err().to_string().contains("cannot be used with"));
}
