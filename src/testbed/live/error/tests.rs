use super::*;

/// What was asked for cannot be, or the server cannot do it: no fault of the harness.
#[test]
fn what_the_proxy_refuses_for_good_is_bad_input() {
    let refused = |status| {
        let (action, message) = ("add toxic".to_owned(), "no".to_owned());
        LinkError::Proxy(ClientError::Refused { action, status, message }).exit()
    };
    for status in [400, 403, 413] {
        assert_eq!(refused(status), Exit::BadInput, "{status}");
    }
    for status in [404, 409, 500, 503] {
        assert_eq!(refused(status), Exit::Harness, "{status}");
    }
    let (action, extension) = ("add toxic".to_owned(), "stall".to_owned());
    let stock = ClientError::NotBundled { action, extension, version: "2.12.0".to_owned() };
    assert_eq!(LinkError::Proxy(stock).exit(), Exit::BadInput);
}
