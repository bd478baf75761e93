use super::*;

#[test]
fn an_engine_elsewhere_is_refused_with_a_way_out() {
    for host in [
        None,
        Some("unix:///run/docker.sock"),
        Some("tcp://127.0.0.1:2375"),
        Some("tcp://localhost:1/x"),
    ] {
        check_ports_reach_us(host).unwrap();
    }
    for host in ["tcp://10.0.0.7:2375", "ssh://me@host", "https://docker.example:2376"] {
        let error = check_ports_reach_us(Some(host)).unwrap_err().to_string();
        assert!(error.contains(host) && error.contains("attach"), "{error}");
    }
}

#[test]
fn an_engine_that_is_too_old_is_refused() {
    for good in ["1.41", "1.52", "2.0", "", "new"] {
        engine::check_api(good).unwrap();
    }
    for old in ["1.40", "1.9", "0.99"] {
        let error = engine::check_api(old).unwrap_err();
        assert!(error.contains(old) && error.contains("20.10"), "{error}");
    }
}

#[test]
fn an_image_name_is_divided_at_its_tag() {
    assert_eq!(containers::split_image("dropbed:local"), ("dropbed", "local"));
    assert_eq!(containers::split_image("dropbed"), ("dropbed", "latest"));
    assert_eq!(containers::split_image("host:5000/a/b"), ("host:5000/a/b", "latest"));
    assert_eq!(containers::split_image("host:5000/a/b:1.2"), ("host:5000/a/b", "1.2"));
}

#[test]
fn ends_of_containers_are_put_into_words() {
    assert_eq!(in_words(3, false), "exit code 3");
    assert_eq!(in_words(137, false), "exit code 137 (signal 9)");
    assert_eq!(in_words(137, true), "out of memory (exit code 137)");
}

#[test]
fn labels_are_what_removal_looks_for() {
    let context = RunContext::of_probe("r1");
    let labels = containers::labels(&context, None);
    assert!(!labels.contains_key(contract::label::PEER));
    assert_eq!(containers::labels(&context, Some("bob"))[contract::label::PEER], "bob");
    for filter in &label_filter(Some("r1"))["label"] {
        let (name, value) = filter.split_once('=').unwrap();
        assert_eq!(labels[name], value);
    }
}

#[test]
fn tokens_are_long_and_never_the_same() {
    let token = new_token().unwrap();
    assert_eq!(token.len(), 64);
    assert!(token.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_ne!(token, new_token().unwrap());
}

/// One that a killed `up` left has its name still, in the run that goes on.
#[test]
fn two_probes_of_one_run_have_names_of_their_own() {
    for rights in [Rights::Default, Rights::Fuse, Rights::Privileged] {
        let names = [rights.probe_name(), rights.probe_name(), rights.probe_name()];
        assert!(names[0] != names[1] || names[1] != names[2], "{names:?}");
        assert!(names.iter().all(|name| name.starts_with("probe-")), "{names:?}");
    }
}

/// Each listing has its own bound: the client's is four times as long.
#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_list_is_told() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", silent.local_addr().unwrap());
    let client = Docker::connect_with_http(&host, 120, bollard::API_DEFAULT_VERSION).unwrap();
    let before = tokio::time::Instant::now();
    let error = find_all(&client, &label_filter(None)).await.unwrap_err().to_string();
    assert!(error.contains("listing containers") && error.contains("docker ps"), "{error}");
    assert_eq!(before.elapsed().as_secs(), ANSWER_DEADLINE.as_secs());
}
