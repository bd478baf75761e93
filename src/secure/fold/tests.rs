use super::super::entropy;
use super::*;

fn hex(secret: &Secret) -> String {
    secret.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn secrets_follow_the_documented_derivation() {
    // Computed with Python's hashlib and hmac from the specification.
    let forth = "82478ea0425d8e662744a2556d45a9384b437de7c2d74a23dc15cb7f00bf7d57";
    let back = "361774e88cca7ea0149c79984d78f9a2ee37608686bfeadfddd9ac0d83b4ee14";
    for (side, send, receive) in [(Side::Dialled, forth, back), (Side::Accepted, back, forth)] {
        let session = Kept::new(Secret::new([3; SECRET_BYTES]));
        let folds = Folds::new(side, session, entropy::system);
        let folded = folds.secrets(&[7; 64], &[1; OFFER_BYTES], &[2; ANSWER_BYTES]);
        assert_eq!((hex(&folded.send).as_str(), hex(&folded.receive).as_str()), (send, receive));
    }
}
