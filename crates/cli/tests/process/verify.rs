//! `tidings webhook verify`.

use std::fs;

use crate::run::{Ran, run, run_with_input};

// The first test vector of the Standard Webhooks specification.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &str = r#"{"test": 2432232314}"#;
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const TIMESTAMP: &str = "1614265330";
const STANDARD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
// printf '{"test": 2432232314}' | openssl dgst -sha256 -hmac "$SECRET"
const PLAIN: &str = "80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c";

fn verify(words: &[&str]) -> Ran {
    let mut all = vec![
        "webhook",
        "verify",
        "--payload-file",
        "-",
        "--secret",
        SECRET,
    ];
    all.extend(words);
    run_with_input(&all, BODY.as_bytes())
}

#[test]
fn both_schemes_are_verified() {
    let ran = verify(&[
        "--signature",
        STANDARD,
        "--id",
        ID,
        "--timestamp",
        TIMESTAMP,
        "--json",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["verified"], true);
    assert_eq!(ran.json()["schemes"][0], "standard-webhooks");
    assert_eq!(ran.json()["fresh"], false);

    let ran = verify(&["--signature", PLAIN]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stdout, "verified by x-tidings-signature\n");
}

#[test]
fn headers_can_be_given_as_they_were_sent() {
    let ran = verify(&[
        "--header",
        &format!("webhook-id: {ID}"),
        "-H",
        &format!("Webhook-Timestamp:{TIMESTAMP}"),
        "-H",
        &format!("webhook-signature: {STANDARD}"),
        "-H",
        &format!("x-tidings-signature: {PLAIN}"),
        "-H",
        "user-agent: tidings/0.1",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("x-tidings-signature"), "{ran:?}");
    assert!(ran.stdout.contains("Standard Webhooks"), "{ran:?}");
}

#[test]
fn a_wrong_signature_is_1_and_says_why() {
    let ran = verify(&[
        "--signature",
        STANDARD,
        "--id",
        "msg_other",
        "--timestamp",
        TIMESTAMP,
    ]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr
            .contains("no entry of `webhook-signature` matches"),
        "{ran:?}"
    );

    let ran = verify(&["--signature", STANDARD, "--id", ID, "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.json()["verified"], false);
    assert!(
        ran.json()["reason"]
            .to_string()
            .contains("webhook-timestamp"),
        "{ran:?}"
    );
    assert!(ran.stderr.is_empty(), "{ran:?}");
}

#[test]
fn payload_and_secret_can_be_files() {
    let folder = tempfile::tempdir().unwrap();
    let (payload, secret) = (
        folder.path().join("body.json"),
        folder.path().join("secret"),
    );
    fs::write(&payload, format!("{BODY}\n")).unwrap();
    fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let words = [
        "webhook",
        "verify",
        "--payload-file",
        payload.to_str().unwrap(),
        "--secret-file",
        secret.to_str().unwrap(),
        "--signature",
        PLAIN,
    ];
    let ran = run(&words, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("line break"), "{ran:?}");
    fs::write(&payload, BODY).unwrap();
    assert_eq!(run(&words, &[]).code, 0);
}

#[test]
fn what_cannot_be_checked_is_usage() {
    for words in [
        &[
            "webhook",
            "verify",
            "--payload-file",
            "-",
            "--secret",
            SECRET,
        ][..],
        &[
            "webhook",
            "verify",
            "--payload-file",
            "-",
            "--signature",
            PLAIN,
        ],
        &[
            "webhook",
            "verify",
            "--payload-file",
            "-",
            "--secret-file",
            "-",
            "--signature",
            PLAIN,
        ],
        &[
            "webhook",
            "verify",
            "--payload-file",
            "no-such",
            "--secret",
            SECRET,
            "--signature",
            PLAIN,
        ],
        &[
            "webhook",
            "verify",
            "--payload-file",
            "-",
            "--secret",
            SECRET,
            "--header",
            "no header",
        ],
    ] {
        let ran = run(words, &[]);
        assert_eq!(ran.code, 2, "{words:?} {ran:?}");
    }
}
